#!/bin/bash
# perf kvm record and clocks of guests that change
# SPDX-License-Identifier: GPL-2.0

# An agent on this machine plays the guest, and what it reads of its perf clock is in files
# that are changed while it records. Its times are the host's, so the offset is 0, and may
# be another one only by what no probe can tell: 1 ns.

set -u

err=0
out=$(mktemp -d /tmp/__perf_test.kvm_record_clock.XXXXX)
lib=$(dirname "$0")/lib
fake=4711

# shellcheck source=lib/kvm.sh
. "${lib}/kvm.sh"

# guest_clock SOURCE HOST: what the guest's kernel says of its clock from now on
guest_clock() {
  echo "$1" > "${out}/new-source"
  echo "$2" > "${out}/new-host"
  mv "${out}/new-source" "${out}/proc/sys/kernel/perf_pv_clock"
  mv "${out}/new-host" "${out}/proc/sys/kernel/perf_pv_clock_host"
}

# What there is in /proc, with another clock.
make_proc() {
  mkdir -p "${out}/proc/sys/kernel"
  ln -s /proc/[a-z]* /proc/[0-9]* "${out}/proc/" 2> /dev/null
  ln -s /proc/sys/kernel/perf_event_* "${out}/proc/sys/kernel/"
  guest_clock "page: for a test" "0x77 1 0"
}

# What the host's KVM tells of the VM. Its epoch is 0x77.
make_debugfs() {
  mkdir -p "${out}/debug/kvm/${fake}-11/vcpu0"
  echo "${fake}" > "${out}/debug/kvm/${fake}-11/vcpu0/pid"
  printf '%s\n' "offered 1" "host_epoch 0x77" "generation 1" "offset 0" \
    > "${out}/debug/kvm/${fake}-11/vcpu0/perf-clock"
}

start_agent() {
  echo "events cpu-clock" > "${out}/policy"
  PROCFS_PATH="${out}/proc" perf kvm agent --listen "unix:${out}/agent.sock" \
    --policy "${out}/policy" 2> "${out}/log" &
  until_true grep -qs listening "${out}/log" || return 1
  python3 "${lib}/kvm_agent_tap.py" "${out}/tap.sock" "${out}/agent.sock" "${out}/guest" &
  until_true [ -S "${out}/tap.sock" ]
}

# record STATUS [SOURCE HOST]...: with these changes, each after most of a second
record() {
  local expected=$1 status=0 recorder
  shift
  rm -f "${out}/running" "${out}/data" "${out}/guest"
  DEBUGFS_PATH="${out}/debug" perf kvm record -v -o "${out}/data" -e cpu-clock -F 500 \
    --no-guest-symbols --guest="unix:${out}/tap.sock,pid=${fake},name=g" \
    -- sh -c "touch '${out}/running'; while :; do :; done" 2> "${out}/stderr" < /dev/null &
  recorder=$!
  until_true [ -e "${out}/running" ]
  sleep 0.7
  while [ $# -gt 0 ]
  do
    guest_clock "$1" "$2"
    shift 2
    sleep 0.7
  done
  kill -s INT "${recorder}"
  wait "${recorder}" || status=$?
  until_true [ -e "${out}/guest" ]
  guest_clock "page: for a test" "0x77 1 0"
  [ ${status} -eq "${expected}" ] && return
  echo "perf kvm record ended with ${status}, expected ${expected}"
  return 1
}

# In ns, of the guest's samples as its agent sent them, and as they were merged
sent_times() {
  perf script -i - -F time --ns < "${out}/guest" 2> /dev/null | tr -d ' :.' | sed 's/^0*//'
}

merged_times() {
  perf script -i "${out}/data" -G -F machine_pid,time --ns 2> /dev/null |
    sed -n "s/VM: *${fake} *//p" | tr -d ' :.' | sed 's/^0*//'
}

# segments: those of the header, as lines "OFFSET FROM"
segments() {
  perf report -i "${out}/data" --header-only 2> /dev/null | sed 's/^# *//' | tr '\n' ' ' |
    sed -n "s/.*clock's offset: \(.*from [0-9]*\).*/\1/p" | sed 's/,  */\n/g' | sed 's/ from / /'
}

# check_times NAME: each sample that was sent is there, at the time of its segment, or is left
# out as its segment is unknown; of each known segment there are some
check_times() {
  segments > "${out}/segments"
  sent_times | awk -v list="${out}/segments" '
    BEGIN { while ((getline line < list) > 0) { split(line, word, " "); nr++
                                                offset[nr] = word[1]; from[nr] = word[2] } }
    { for (i = nr; i > 1 && $1 < from[i]; i--);
      if (offset[i] != "unknown") printf "%.0f\n", $1 + offset[i] }' > "${out}/expected"
  merged_times > "${out}/got"
  [ -s "${out}/got" ] && cmp "${out}/expected" "${out}/got" || fail "$1" "times"
  merged_times | awk -v list="${out}/segments" '
    BEGIN { while ((getline line < list) > 0) { split(line, word, " "); nr++
                                                offset[nr] = word[1]; from[nr] = word[2] } }
    { for (i = nr; i > 1 && $1 < from[i]; i--); seen[i]++ }
    END { for (i = 1; i <= nr; i++) if (offset[i] != "unknown" && seen[i] < 10) exit 1 }' ||
    fail "$1" "few samples in a segment: $(cat "${out}/segments")"
}

test_constant() {
  local name="A clock that does not change"

  record 0 || fail "${name}" "status"
  says "g \(pid ${fake}\) .*pv, off by at most 2 ns$" || fail "${name}" "text"
  sent_times > "${out}/expected"
  merged_times > "${out}/got"
  [ -s "${out}/got" ] && cmp "${out}/expected" "${out}/got" || fail "${name}" "times"
}

# A new generation alone is no new segment.
test_change() {
  local name="A clock that changes" nr

  record 3 "page: for a test" "0x77 2 0" "page: for a test" "0x77 3 1" || fail "${name}" "status"
  says "g \(pid ${fake}\) .*pv, off by at most 2 ns, in 3 segments" || fail "${name}" "text"
  check_times "${name}"
  [ "$(cut -d' ' -f1 "${out}/segments" | tr '\n' ' ')" = "0 unknown 1 " ] ||
    fail "${name}" "segments in the header: $(cat "${out}/segments")"
  nr=$(awk '$1 == "unknown" { from = $2 } $1 == 1 { printf "%d\n", ($2 - from) / 1000000 }' \
    "${out}/segments")
  # The agent looks ten times a second; this machine may be busy.
  [ "${nr:-9999}" -lt 1000 ] || fail "${name}" "unknown for ${nr} ms"
}

# What is recorded on another host, or without such a clock, is not known.
test_lost() {
  local name="A clock that ends"

  record 3 "page: for a test" "0x78 2 5" || fail "${name}" "status of another host"
  check_times "${name}"
  [ "$(cut -d' ' -f1 "${out}/segments" | tr '\n' ' ')" = "0 unknown " ] ||
    fail "${name}" "segments with another host: $(cat "${out}/segments")"
  record 3 "off: for a test" "" || fail "${name}" "status of none"
  check_times "${name}"
}

# Nothing that the guest says is believed against a probe.
test_liar() {
  local name="A clock that is not the host's"

  record 0 "page: for a test" "0x77 2 1000000000" || fail "${name}" "status"
  says "clock pv: a probe contradicts" || fail "${name}" "reason"
  says "g \(pid ${fake}\) .*probe, off by" || fail "${name}" "text"
}

if ! command -v python3 > /dev/null
then
  echo "Skip: python3, by which the recording is kept, is missing"
  exit 2
fi
if ! perf record -a -e cpu-clock -o /dev/null -- true > /dev/null 2>&1
then
  echo "Skip: no permission to record"
  exit 2
fi
touch "${out}/stderr"
make_proc
make_debugfs
start_agent || fail "Agent" "start"
test_constant
test_change
test_lost
test_liar
exit ${err}
