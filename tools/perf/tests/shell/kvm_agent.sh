#!/bin/bash
# perf kvm agent tests
# SPDX-License-Identifier: GPL-2.0

set -u

lib=$(dirname "$0")/lib
out=$(mktemp -d /tmp/__perf_test.kvm_agent.XXXXX)
err=0
# shellcheck source=lib/kvm.sh
. "${lib}/kvm.sh"
agent=0

test_usage() {
  local name="Usage" listen

  run 129 perf kvm agent || fail "${name}" "no address"
  run 129 perf kvm agent --listen unix:x y || fail "${name}" "another argument"
  for listen in tcp:1 vsock:x unix: virtio:../x ""
  do
    run 1 perf kvm agent --listen "${listen}" || fail "${name}" "status of '${listen}'"
    says "not one of vsock" || fail "${name}" "'${listen}' does not say what there is"
  done
  run 1 perf kvm agent --listen virtio:none.such || fail "${name}" "a port that is not there"
  says "none.such: No such file" || fail "${name}" "the port's name"
  echo text > "${out}/file"
  run 1 perf kvm agent --listen "unix:${out}/file" || fail "${name}" "a file is in the way"
  grep -q text "${out}/file" || fail "${name}" "a file was removed"
}

test_policy() {
  local name="Policy"

  printf 'events cycles\nmax-rates 5\n' > "${out}/policy"
  run 1 perf kvm agent --listen "unix:${out}/s" --policy "${out}/policy" ||
    fail "${name}" "status"
  says "line 2: max-rates: there is no such key" || fail "${name}" "sentence"
  run 1 perf kvm agent --listen "unix:${out}/s" --policy "${out}/none" ||
    fail "${name}" "no file"
  says "none: No such file" || fail "${name}" "the file's name"
}

# start_agent RULES: sets agent, and returns when it listens
start_agent() {
  local i

  echo "$1" > "${out}/policy"
  rm -f "${out}/log"
  perf kvm agent --listen "unix:${out}/s" --policy "${out}/policy" 2> "${out}/log" &
  agent=$!
  for ((i = 0; i < 100; i++))
  do
    grep -qs listening "${out}/log" && return
    sleep 0.1
  done
  cat "${out}/log"
  return 1
}

# stop_agent SIGNAL: it must end in order, and take its socket with it
stop_agent() {
  local status=0

  kill -s "$1" "${agent}"
  wait "${agent}" || status=$?
  agent=0
  [ ${status} -eq 0 ] && [ ! -e "${out}/s" ]
}

host() {
  timeout 60 python3 "${lib}/kvm_agent_host.py" "${out}/s" "$@"
}

# Nothing of the agent's may be left: its sessions are children, and perf record theirs.
nothing_left() {
  local i

  for ((i = 0; i < 60; i++))
  do
    pgrep -P "${agent}" > /dev/null || return 0
    sleep 0.1
  done
  return 1
}

logged() {
  local i

  for ((i = 0; i < 60; i++))
  do
    grep -q "$1" "${out}/log" && return
    sleep 0.1
  done
  cat "${out}/log"
  return 1
}

test_record() {
  local name="Recording"

  # cpu-clock has samples only of what is busy
  timeout 10 sh -c 'while :; do :; done' &
  host record --all-cpus --event=cpu-clock --freq=100 > "${out}/data" 2> "${out}/stderr"
  kill $! 2> /dev/null
  says "reserved 0 0 0 0 status 0 flags 0" || fail "${name}" "$(cat "${out}/stderr")"
  says "^samples [1-9]" || fail "${name}" "no sample: $(cat "${out}/stderr")"
  perf report -i - --stdio < "${out}/data" > "${out}/report" 2>&1 || fail "${name}" "perf report"
  grep -q "cpu-clock" "${out}/report" || fail "${name}" "no event in the report"
  logged "1 recordings.*; ended by the host$" || fail "${name}" "log"
}

# What the session has read by read(), readv(), pread() and preadv() is less than a tenth of
# what it sent: that is rchar in /proc/PID/task/PID/io, for which no tracer is needed. The
# recording comes out of a pipe, of which these are the calls that copy to a process's memory,
# but for vmsplice() and io_uring, which rchar does not count and the agent does not use. It
# does not count recv() either, but that takes nothing from a pipe.
test_no_copy() {
  local name="No copy" bytes read

  timeout 10 sh -c 'while :; do :; done' &
  AGENT=${agent} host count --all-cpus --event=cpu-clock --freq=1000 2> "${out}/stderr"
  kill $! 2> /dev/null
  bytes=$(sed -n 's/^bytes \([0-9]*\) .*/\1/p' "${out}/stderr")
  read=$(sed -n 's/^rchar: //p' "${out}/stderr")
  if [ -z "${read}" ]
  then
    echo "${name} [Skipped: the kernel does not count what is read: $(cat "${out}/stderr")]"
    return
  fi
  [ "${bytes:-0}" -gt 20000 ] || fail "${name}" "too little was sent: $(cat "${out}/stderr")"
  [ "${read}" -lt $((bytes / 10)) ] || fail "${name}" "${read} bytes read of ${bytes}"
}

status_of() {
  sed -n "s/^$1:[[:space:]]*//p" "/proc/${agent}/status"
}

# PERFMON, SYSLOG, SYS_ADMIN, SYS_PTRACE, IPC_LOCK, DAC_READ_SEARCH; by their numbers
may_have=$((1 << 38 | 1 << 34 | 1 << 21 | 1 << 19 | 1 << 14 | 1 << 2))

test_privileges() {
  local name="Privileges" set

  [ "$(status_of NoNewPrivs)" = 1 ] || fail "${name}" "no_new_privs"
  [ "$(status_of Umask)" = 0077 ] || fail "${name}" "umask"
  for set in CapPrm CapEff
  do
    [ $((0x$(status_of ${set}) & ~may_have)) -eq 0 ] || fail "${name}" "${set}: $(status_of ${set})"
  done
  [ "$(id -u)" -eq 0 ] || return
  for set in CapInh CapAmb
  do
    [ $((0x$(status_of ${set}))) -eq 0 ] || fail "${name}" "${set}: $(status_of ${set})"
  done
  # without CAP_SETPCAP the set remains, and no_new_privs is what keeps it shut
  if [ $((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) & 1 << 8)) -ne 0 ]
  then
    [ $((0x$(status_of CapBnd) & ~may_have)) -eq 0 ] || fail "${name}" "CapBnd: $(status_of CapBnd)"
  fi
}

# Names for addresses: the kernel's, a program's by its build-id, and nothing else.
test_symbols() {
  local name="Symbols" id

  host get vdso > "${out}/vdso" 2> "${out}/stderr" || fail "${name}" "$(cat "${out}/stderr")"
  id=$(perf buildid-list -i "${out}/vdso")
  if [ -z "${id}" ]
  then
    echo "${name} [Skipped: no vDSO with a build-id]"
    return
  fi
  host get file "${out}/vdso" "${id}" > "${out}/got" 2> "${out}/stderr" ||
    fail "${name}" "$(cat "${out}/stderr")"
  cmp -s "${out}/vdso" "${out}/got" || fail "${name}" "another file came"
  if command -v gzip > /dev/null
  then
    gzip -c "${out}/vdso" > "${out}/m.ko.gz"
    host get file "${out}/m.ko.gz" "${id}" > "${out}/got" 2> "${out}/stderr"
    cmp -s "${out}/vdso" "${out}/got" || perf version --build-options | grep -q "zlib.*OFF" ||
      fail "${name}" "a compressed module: $(cat "${out}/stderr")"
  fi
  if [ "$(id -u)" -eq 0 ]
  then
    mkdir "${out}/private"
    cp "${out}/vdso" "${out}/private/program"
    chmod 600 "${out}/private/program"
    chmod 700 "${out}/private"
    chown -R 65534 "${out}/private"
    host get file "${out}/private/program" "${id}" > "${out}/got" 2> "${out}/stderr"
    cmp -s "${out}/vdso" "${out}/got" || fail "${name}" "another user's: $(cat "${out}/stderr")"
  fi
  host get file /etc/passwd "${id}" > "${out}/got" 2> "${out}/stderr" &&
    fail "${name}" "no ELF file"
  says "error 5: .*not an ELF file" || fail "${name}" "$(cat "${out}/stderr")"
  [ ! -s "${out}/got" ] || fail "${name}" "something came of /etc/passwd"
  host get kallsyms > "${out}/got" 2> "${out}/stderr" && ! grep -q " _text$" "${out}/got" &&
    fail "${name}" "kallsyms"
  [ -s "${out}/got" ] || says "hides its addresses" || fail "${name}" "$(cat "${out}/stderr")"
  host get modules > "${out}/got" 2> "${out}/stderr" || fail "${name}" "$(cat "${out}/stderr")"
  cut -s -d' ' -f1 "${out}/got" > "${out}/names"
  if [ -e /proc/modules ]
  then
    cut -d' ' -f1 /proc/modules | cmp -s - "${out}/names" || fail "${name}" "modules"
  fi
}

test_no_symbols() {
  local name="No symbols"

  start_agent "symbols no" || fail "${name}" "start"
  host get vdso > /dev/null 2> "${out}/stderr" && fail "${name}" "a vDSO"
  says "error 5: .*'symbols no'" || fail "${name}" "$(cat "${out}/stderr")"
  stop_agent INT || fail "${name}" "end"
}

# The file that is beside the man page's source, where that is.
test_shipped_policy() {
  local name="Shipped policy" file

  file=$(dirname "$0")/../../Documentation/perf-kvm-agent.conf
  if [ ! -e "${file}" ]
  then
    echo "${name} [Skipped: ${file} is not here]"
    return
  fi
  start_agent "$(cat "${file}")" || fail "${name}" "start"
  stop_agent INT || fail "${name}" "end"
}

test_refusal() {
  local name="Refusal"

  host record --all-cpus --event=faults 2> "${out}/stderr" && fail "${name}" "an event"
  nothing_left
  says "error 5: event 'faults' is not in the 'events'" || fail "${name}" "$(cat "${out}/stderr")"
  host record --all-cpus 2> "${out}/stderr" && fail "${name}" "perf's default event"
  nothing_left
  says "error 5: without --event it is .* not in the 'events'" ||
    fail "${name}" "$(cat "${out}/stderr")"
  host record --all-cpus "--output=${out}/x" 2> "${out}/stderr" && fail "${name}" "an option"
  nothing_left
  says "error 5: option '--output" || fail "${name}" "$(cat "${out}/stderr")"
  host record --event=cpu-clock -- touch "${out}/x" 2> "${out}/stderr" && fail "${name}" "a command"
  says "error 5: .*workload no" || fail "${name}" "$(cat "${out}/stderr")"
  [ ! -e "${out}/x" ] || fail "${name}" "something was written"
}

test_lost_host() {
  local name="Lost host"

  host leave --all-cpus --event=cpu-clock 2> "${out}/stderr" ||
    fail "${name}" "$(cat "${out}/stderr")"
  logged "connection was lost" || fail "${name}" "log"
  nothing_left || fail "${name}" "something runs on"
}

test_busy() {
  local name="Too many sessions" first

  host wait > "${out}/first" 2> /dev/null &
  first=$!
  while kill -0 ${first} 2> /dev/null && ! grep -qs connected "${out}/first"
  do
    sleep 0.1
  done
  host record --all-cpus 2> "${out}/stderr" && fail "${name}" "a second session"
  says "error 8: .*'sessions'" || fail "${name}" "$(cat "${out}/stderr")"
  kill ${first}
  wait ${first} 2> /dev/null
}

# The rings are small and the host slow: records are lost, the guest is not stopped. Samples
# are large, as there may be few: the kernel lowers its maximum rate on a busy machine.
test_slow_host() {
  local name="Slow host"

  start_agent "ring-memory $((32768 * $(getconf _NPROCESSORS_CONF)))
bandwidth 300K" || fail "${name}" "start"
  timeout 20 sh -c 'while :; do :; done' &
  host stall --all-cpus --event=cpu-clock --freq=9000 --call-graph=dwarf,4096 \
    > /dev/null 2> "${out}/stderr"
  kill $! 2> /dev/null
  says "status 0 flags 0" || fail "${name}" "$(cat "${out}/stderr")"
  says " lost [1-9]" || fail "${name}" "nothing lost: $(cat "${out}/stderr")"
  stop_agent INT || fail "${name}" "end"
}

test_end() {
  local name="End" first

  start_agent "workload yes" || fail "${name}" "start"
  host stall -- sleep 97531.$$ > "${out}/first" 2> /dev/null &
  first=$!
  while kill -0 ${first} 2> /dev/null && ! grep -qs started "${out}/first"
  do
    sleep 0.1
  done
  stop_agent TERM || fail "${name}" "status"
  wait ${first} 2> /dev/null
  pgrep -f "sleep 97531.$$" > /dev/null && fail "${name}" "the workload runs on"
  logged "told to end" || fail "${name}" "log"
}

test_killed() {
  local name="Killed agent" first i

  start_agent "workload yes" || fail "${name}" "start"
  host stall -- sleep 97532.$$ > "${out}/first" 2> /dev/null &
  first=$!
  while kill -0 ${first} 2> /dev/null && ! grep -qs started "${out}/first"
  do
    sleep 0.1
  done
  kill -s KILL "${agent}"
  wait "${agent}" 2> /dev/null
  wait ${first} 2> /dev/null
  for ((i = 0; i < 60; i++))
  do
    pgrep -f "sleep 97532.$$" > /dev/null || break
    sleep 0.1
  done
  pgrep -f "sleep 97532.$$" > /dev/null && fail "${name}" "the workload runs on"
  start_agent "workload no" || fail "${name}" "its socket is in the way"
  stop_agent HUP || fail "${name}" "end"
}

test_usage
test_policy
if ! command -v python3 > /dev/null
then
  [ ${err} -eq 0 ] || exit 1
  echo "Skip: python3, which plays the host, is missing"
  exit 2
fi
if ! perf record -a -e cpu-clock -o /dev/null -- true > /dev/null 2>&1
then
  [ ${err} -eq 0 ] || exit 1
  echo "Skip: no permission to record"
  exit 2
fi
start_agent "events cpu-clock
sessions 1" || fail "Agent" "start"
test_privileges
test_record
nothing_left
test_no_copy
nothing_left
test_symbols
nothing_left
test_refusal
nothing_left
test_lost_host
test_busy
nothing_left
stop_agent TERM || fail "Agent" "end"
test_slow_host
test_no_symbols
test_shipped_policy
test_end
test_killed
exit ${err}
