#!/bin/bash
# perf kvm record with guests
# SPDX-License-Identifier: GPL-2.0

# Agents on this machine play the guests, and processes that sleep play their VMs.

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_record_guest.XXXXX)
err=0
pids=()
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"

# start_agent NAME POLICY: sets agent; it listens on NAME.sock
start_agent() {
  echo "$2" > "${out}/$1.policy"
  rm -f "${out}/$1.log"
  perf kvm agent --listen "unix:${out}/$1.sock" --policy "${out}/$1.policy" 2> "${out}/$1.log" &
  agent=$!
  pids+=("${agent}")
  until_true grep -qs listening "${out}/$1.log" && return
  cat "${out}/$1.log"
  return 1
}

# start_vm ARGUMENT...: sets vm, a process that has QEMU's name and these arguments
start_vm() {
  (exec -a qemu-system-perf-test \
    bash -c 'exec 3<> <(:); while :; do read -rt 1 -u 3; done' x "$@") &
  vm=$!
  pids+=("${vm}")
}

# record STATUS OPTION...: with what all tests have in common. Symbols have a test of their own.
record() {
  local status=$1
  shift
  run "${status}" perf kvm record -o "${out}/data" -e cpu-clock -F 500 --no-guest-symbols "$@"
}

work() {
  echo -- perf bench sched messaging -g 1 -l 300
}

# count PATTERN [FILE]: the samples of the output whose line of machine and event matches
count() {
  perf script -i "${out}/${2:-data}" -G -F machine_pid,event 2> /dev/null | grep -Ec -- "$1"
}

# parts: the directory with the parts, if there is one
parts() {
  find "${out}" -maxdepth 1 -name 'data.parts.*'
}

no_parts() {
  [ -z "$(parts)" ]
}

# Nothing that perf kvm record started may be left.
no_record() {
  ! pgrep -f -- "--output=${out}/data.parts" > /dev/null
}

test_untouched() {
  local name="Without guests"

  run 0 perf kvm --host record -q -o "${out}/classic" -e cpu-clock -- echo --guest=x ||
    fail "${name}" "a command's own --guest"
  says "^--guest=x$" || fail "${name}" "the command's argument"
  run 0 perf kvm --host record -o "${out}/classic" -q -e cpu-clock --call-graph fp -- \
    echo --guest=x ||
    fail "${name}" "a value in front of it"
  run 129 perf kvm record --guest || fail "${name}" "--guest alone"
  says "unknown option .guest'" || fail "${name}" "text of --guest alone"
}

test_usage() {
  local name="Usage"

  record 129 --guest=unix:x,pid=1,colour=red || fail "${name}" "key"
  says "'colour' is unknown: there are name=" || fail "${name}" "text of a key"
  record 129 --guest=unix:x,pid=0 || fail "${name}" "pid"
  record 129 --guest=unix:x,name=a/b || fail "${name}" "name"
  record 129 --guest=unix:x,clock=sundial || fail "${name}" "clock"
  says "sundial' is unknown: there are auto, pv, tsc and probe" || fail "${name}" "text of a clock"
  record 129 --guest=all,name=x || fail "${name}" "all with a name"
  record 129 --guest=unix:x --overwrite || fail "${name}" "an option of perf record"
  says "--overwrite of perf record cannot be used" || fail "${name}" "text of an option"
  record 129 --guest=unix:x --no-such-option || fail "${name}" "no option"
  run 1 perf kvm record --guest=unix:x -o - -- true || fail "${name}" "output to a pipe"
  record 1 --guest=unix:x --guest-exec || fail "${name}" "no command for guests"
  record 1 --guest=unix:x --guest-max-size=many -- true || fail "${name}" "size"
  record 1 --guest=tcp:x,pid=1 -- true || fail "${name}" "address"
  record 1 --guest="unix:${out}/none" -- true || fail "${name}" "status of no agent"
  says "none: No such file" "perf kvm agent" || fail "${name}" "no agent"
  no_parts || fail "${name}" "something is left"
}

test_no_vm() {
  local name="VMs by name"

  start_vm -name "guest=twin.$$" -device vhost-vsock-pci,guest-cid=4294967001
  start_vm -name "guest=twin.$$" -device '{"driver":"vhost-vsock-pci","guest-cid":4294967002}'
  start_vm -name "lone.$$,debug-threads=on"
  until_true pgrep -f "name lone.$$" > /dev/null
  record 1 --guest="nobody.$$" -- true || fail "${name}" "status of no VM"
  says "there is no VM 'nobody" "lone.$$ \(pid ${vm}, no address" \
    "twin.$$ .*vsock:4294967002:4242" ||
    fail "${name}" "no VM"
  record 1 --guest="twin.$$" -- true || fail "${name}" "status of two VMs"
  says "more than one VM has the name 'twin.$$'" || fail "${name}" "two VMs"
  record 1 --guest="lone.$$" -- true || fail "${name}" "status of no address"
  says "'lone.$$' \(pid ${vm}\) has no way to an agent" || fail "${name}" "no address"
  record 1 --guest=vsock:4294967003 -- true || fail "${name}" "status of no such cid"
  says "no VM with the context id 4294967003" || fail "${name}" "no such cid"
  record 1 --guest=$$ -- true || fail "${name}" "status of no such process"
  says "process $$ is no VM" || fail "${name}" "no such process"
}

# The vCPUs of a guest are not to be had here, but all else of the way.
test_record() {
  local name="Record" times

  start_agent guest "events cpu-clock page-faults" || fail "${name}" "agent"
  guest_agent=${agent}
  start_vm -name "guest=web one,process=x" \
    -chardev "socket,id=c0,path=${out}/guest.sock,server=on,wait=off" \
    -device virtserialport,bus=b.0,chardev=c0,name=perf.0
  until_true pgrep -f "path=${out}/guest.sock" > /dev/null
  echo old > "${out}/data"
  # shellcheck disable=SC2046
  record 0 --guest="web one" -g --clock=probe $(work) || fail "${name}" "status"
  says "^guest 'web_one': pid ${vm}, agent at unix:${out}/guest.sock, threads of 0 vCPUs known" ||
    fail "${name}" "what was found"
  says "MACHINE" "host  " "web_one \(pid ${vm}\) .*probe, off by at most [0-9]+ ns" ||
    fail "${name}" "text"
  grep -q old "${out}/data.old" || fail "${name}" "an older output"
  no_parts || fail "${name}" "the parts are left"
  no_record || fail "${name}" "something runs on"
  [ "$(count "VM: *${vm} .*cpu-clock:")" -gt 0 ] || fail "${name}" "samples of the guest"
  [ "$(count "^ *cpu-clock:")" -gt 0 ] || fail "${name}" "samples of the host"
  until_true grep -q "ended by the host, which counted $(count "VM: *${vm} ") samples and 0 lost" \
    "${out}/guest.log" || fail "${name}" "the agent's log: $(cat "${out}/guest.log")"
  run 0 perf report -i "${out}/data" --stdio || fail "${name}" "report"
  says "of event 'cpu-clock'" "sched-messaging" || fail "${name}" "events in the report"
  grep -q "cpu-clock@" "${out}/stdout" && fail "${name}" "host and guest are not in one list"
  # Both machines are this one: what a CPU did at a time, both saw. Most of the
  # command's time must be in both recordings, or they did not run together.
  perf script -i "${out}/data" -G -F machine_pid,comm,time --ns 2> /dev/null |
    grep "sched-messaging" > "${out}/times"
  times=$(awk -v vm="${vm}" '
    { guest = /VM:/; for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]+:$/) t = $i + 0 }
    !(guest in first) || t < first[guest] { first[guest] = t }
    !(guest in last) || t > last[guest] { last[guest] = t }
    END {
      a = first[0] > first[1] ? first[0] : first[1]
      b = last[0] < last[1] ? last[0] : last[1]
      c = first[0] < first[1] ? first[0] : first[1]
      d = last[0] > last[1] ? last[0] : last[1]
      print (d > c ? int(100 * (b - a) / (d - c)) : 0)
    }' "${out}/times")
  [ "${times}" -ge 50 ] || fail "${name}" "they share only ${times} % of the command's time"
}

test_options() {
  local name="Options"

  # shellcheck disable=SC2046
  run 0 perf kvm record -o "${out}/data" --guest="unix:${out}/guest.sock,pid=${vm},name=g" -v \
    -F 500 -e cpu-clock --guest-event=page-faults --no-inherit $(work) || fail "${name}" "status"
  says "^  perf .*, kernel .* CPUs" "--all-cpus is added" || fail "${name}" "what was found"
  [ "$(count "VM: *${vm} .*page-faults@g")" -gt 0 ] || fail "${name}" "the guest's own event"
  [ "$(count "VM: .*cpu-clock")" -eq 0 ] || fail "${name}" "the host's event in the guest"
  # shellcheck disable=SC2046
  run 0 perf kvm record -o "${out}/data" --guest="unix:${out}/guest.sock,pid=${vm},name=g" \
    -F 500 -e cpu-clock --guest-event=page-faults --join-events=cpu-clock+page-faults $(work) ||
    fail "${name}" "status with joined events"
  [ "$(count "VM: *${vm} .*cpu-clock:")" -gt 0 ] || fail "${name}" "joined events"
  record 0 -q --guest="unix:${out}/guest.sock,pid=${vm},name=g" -- true || fail "${name}" "quiet"
  grep -q "^guest 'g'" "${out}/stderr" && fail "${name}" "what was found, in spite of -q"
  # shellcheck disable=SC2046
  record 0 --guest="unix:${out}/guest.sock,pid=${vm},name=g" --separate-events $(work) ||
    fail "${name}" "status with separate events"
  [ "$(count "VM: *${vm} .*cpu-clock@g:")" -gt 0 ] || fail "${name}" "separate events"
}

# What agents do not take is the host's alone, and the user is told.
test_host_only() {
  local name="Options of the host alone"

  # shellcheck disable=SC2046
  record 0 --guest="unix:${out}/guest.sock,pid=${vm},name=g" -W --phys-data --code-page-size \
    --cpu 0 $(work) || fail "${name}" "status"
  says "^Only for the host, .* without: --weight --phys-data --code-page-size --cpu$" ||
    fail "${name}" "text"
  perf evlist -v -i "${out}/data" > "${out}/stdout" 2>&1
  says "^cpu-clock: .*WEIGHT" || fail "${name}" "the host's samples"
  grep "^cpu-clock@g" "${out}/stdout" | grep -q WEIGHT && fail "${name}" "the guest's samples"
  [ "$(count "VM: *${vm} .*cpu-clock@g")" -gt 0 ] || fail "${name}" "the guest's list"
  run 0 perf report -i "${out}/data" --stdio || fail "${name}" "report"
  record 1 -q --guest="unix:${out}/none,pid=${vm}" -W -- true || fail "${name}" "status with -q"
  grep -q "^Only for" "${out}/stderr" && fail "${name}" "text in spite of -q"
}

has_zstd() {
  perf version --build-options | grep -Eq "zstd: .* on "
}

# The agent's log has the bytes that it sent, and the host's counts, which need what is
# in compressed records. The output has all of it, as without.
test_compressed() {
  local name="Compressed" level came plain samples

  has_zstd || {
    record 1 --guest="unix:${out}/guest.sock,pid=${vm}" --guest-compression-level=1 -- true ||
      fail "${name}" "status without zstd"
    says "this perf cannot decompress, as it was built without zstd" ||
      fail "${name}" "text without zstd"
    echo "No test of compressed guests: perf was built without zstd"
    return
  }
  for level in 0 20 x
  do
    record 1 --guest="unix:${out}/guest.sock,pid=${vm}" --guest-compression-level=${level} \
      -- true || fail "${name}" "status of level ${level}"
    says "guest-compression-level=${level}: it takes a number from 1 to 19" ||
      fail "${name}" "text of level ${level}"
  done
  for level in 1 19
  do
    # shellcheck disable=SC2046
    record 0 --guest="unix:${out}/guest.sock,pid=${vm},name=g" -F 2000 -g -v \
      --guest-compression-level=${level} $(work) || fail "${name}" "status"
    says "guest 'g': [0-9]+ bytes came, which decompress to [0-9]+" || fail "${name}" "text"
    read -r came plain < <(sed -n \
      "s/.*guest 'g': \([0-9]*\) bytes came, which decompress to \([0-9]*\)$/\1 \2/p" \
      "${out}/stderr")
    # What comes before the samples is not compressed.
    [ $((came * 3)) -lt $((plain * 2)) ] || fail "${name}" "${came} of ${plain} bytes"
    samples=$(count "VM: *${vm} .*cpu-clock:")
    [ "${samples}" -gt 0 ] || fail "${name}" "samples"
    until_true grep -q \
      " ${came} bytes; ended by the host, which counted ${samples} samples and 0 lost" \
      "${out}/guest.log" || fail "${name}" "the agent's log: $(cat "${out}/guest.log")"
    no_parts || fail "${name}" "the parts are left"
  done
  run 0 perf report -i "${out}/data" --stdio || fail "${name}" "report"
  says "sched-messaging" || fail "${name}" "names of processes in the report"
}

# Whoever listens on the socket is the VM, if the user names none.
test_peer_pid() {
  local name="VM by its socket"

  # shellcheck disable=SC2046
  record 0 --guest="unix:${out}/guest.sock" $(work) || fail "${name}" "status"
  says "pid${guest_agent} \(pid ${guest_agent}\)" || fail "${name}" "name"
  [ "$(count "VM: *${guest_agent} ")" -gt 0 ] || fail "${name}" "samples"
}

test_two_guests() {
  local name="Two guests" first=${vm}

  start_agent second "events cpu-clock" || fail "${name}" "agent"
  start_vm
  # shellcheck disable=SC2046
  record 0 --guest="unix:${out}/guest.sock,pid=${first},name=one" \
    --guest="unix:${out}/second.sock,pid=${vm},name=two" $(work) || fail "${name}" "status"
  says "one \(pid ${first}\)" "two \(pid ${vm}\)" || fail "${name}" "text"
  [ "$(count "VM: *${first} ")" -gt 0 ] || fail "${name}" "samples of the first"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples of the second"
  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" \
    --guest="unix:${out}/second.sock,pid=${vm}" -- true || fail "${name}" "one pid for both"
  says "is there twice" || fail "${name}" "text of one pid for both"
}

# In a namespace of processes, so that the VMs that this machine may have are not there.
test_all() {
  local name="All guests"

  if ! unshare -pf --mount-proc true 2> /dev/null || [ -e /sys/kernel/debug/kvm ]
  then
    echo "${name} [Skipped: needs the right to unshare, and no KVM that can be asked]"
    return
  fi
  unshare -pf --mount-proc bash "$0" all || err=1
}

test_all_inside() {
  local name="All guests" first="" sock

  start_agent all "events cpu-clock" || fail "${name}" "agent"
  for sock in all none all2
  do
    start_vm -name "guest=${sock}" -chardev "socket,id=c0,path=${out}/${sock}.sock" \
      -device virtserialport,bus=b.0,chardev=c0,name=perf.0
    until_true pgrep -f "path=${out}/${sock}.sock" > /dev/null
    first=${first:-${vm}}
  done
  start_vm -name guest=bare
  start_agent all2 "events cpu-clock" || fail "${name}" "second agent"
  # shellcheck disable=SC2046
  record 0 --guest=all $(work) || fail "${name}" "status"
  says "VM 'none' .*left out: cannot connect to the agent at .*none.sock" \
    "VM 'bare' .*left out: no address" "all \(pid ${first}\)" "all2 \(pid " ||
    fail "${name}" "text"
  [ "$(count "VM: *${first} ")" -gt 0 ] || fail "${name}" "samples"
  kill "${pids[0]}" "${agent}"
  wait "${pids[0]}" "${agent}"
  record 1 --guest=all -- true || fail "${name}" "status of no agent"
  says "no VM's agent can be reached" || fail "${name}" "text of no agent"
  no_parts || fail "${name}" "something is left"
}

# Refusals and failures at the start: nothing is recorded, and the reason is there.
test_refusals() {
  local name="Refusals"

  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" --guest-event=faults -- true ||
    fail "${name}" "status of an event"
  says "event 'faults' is not in the 'events'" || fail "${name}" "an event"
  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" --guest-exec -- true ||
    fail "${name}" "status of a command"
  says "workload no" || fail "${name}" "a command"
  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" -F 999999 -- true || fail "${name}" "rate"
  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" -e no-such-event -- true ||
    fail "${name}" "status of the host's event"
  says "perf record on the host failed" "no-such-event" || fail "${name}" "the host's event"
  record 1 --guest="unix:${out}/guest.sock,pid=${vm}" -- "${out}/no-such-command" ||
    fail "${name}" "status of no such command"
  says "no-such-command cannot be run: No such file" || fail "${name}" "no such command"
  until_true grep -q "ended by the host amid a recording" "${out}/guest.log" ||
    fail "${name}" "the agent's log of no such command: $(cat "${out}/guest.log")"
  grep -q "connection was lost" "${out}/guest.log" &&
    fail "${name}" "a session was not ended: $(cat "${out}/guest.log")"
  run 1 perf kvm record -o "${out}/none/data" -e cpu-clock \
    --guest="unix:${out}/guest.sock,pid=${vm}" -- true || fail "${name}" "status of no directory"
  says "no directory can be made beside it: No such file" || fail "${name}" "no directory"
  no_parts || fail "${name}" "something is left"
  no_record || fail "${name}" "something runs on"
}

# peer WHAT: an agent that is not as it should be
peer() {
  rm -f "${out}/peer.sock"
  rm -f "${out}/running"
  python3 - "${out}/peer.sock" "$1" "${out}/running" << 'PEER' &
import os, socket, struct, sys, time

path, what, running = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
sock, _ = listener.accept()

def send(kind, ident, fixed=b"", var=b""):
    header = struct.pack("<IHHII", 16 + len(fixed) + len(var), kind, len(fixed), ident, 0)
    sock.sendall(header + fixed + var)

def take(size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            sys.exit()
        data += piece
    return data

while True:
    size, kind, fixed, ident, _ = struct.unpack("<IHHII", take(16))
    take(size - 16)
    if what == "silent":
        continue
    if kind == 1 and what == "newer":
        send(2, ident, b"PVAG" + struct.pack("<HH", 7, 0))
    elif kind == 1 and what == "older":
        send(3, ident, struct.pack("<II", 1, 1), b"the agent speaks versions 8 to 9")
    elif kind == 1 and what == "nonsense":
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    elif kind == 1:
        send(2, ident, b"PVAG" + struct.pack("<HH", 1, 0))
    elif kind == 4:
        send(5, ident, b"", b"release \x1b[31mred\n" + b"compression zstd\n" * (what == "packed"))
    elif kind == 6: # the time of the guest stands still
        send(7, ident, struct.pack("<IIQ", 0, 0, 1000))
    elif kind == 8:
        send(9, ident)
        # perf's pipe format, and the mark that the events are on; then a record that is
        # shorter than its own header
        begin = b"PERFILE2" + struct.pack("<QIHH", 16, 82, 0, 8)
        send(10, ident, struct.pack("<Q", 0), begin)
        while not os.path.exists(running):
            time.sleep(0.1)
        more = bytes(8)
        if what == "packed": # what is no zstd
            more = struct.pack("<IHH", 81, 0, 16) + b"xxxxxxxx"
        if what == "aux": # an event, then a record that cannot be merged
            attr = struct.pack("<IIQQQQQ", 1, 136, 0, 1, 0x10007, 0, 1 << 18) + bytes(88)
            more = struct.pack("<IHH", 64, 0, 152) + attr + struct.pack("<Q", 7)
            more += struct.pack("<IHHQ", 70, 0, 16, 0)
        send(10, ident, struct.pack("<Q", len(begin)), more)
PEER
  pids+=($!)
  until_true [ -S "${out}/peer.sock" ]
}

# An agent that does not say that it can compress, and one that does not do it well
test_bad_compression() {
  local name="Bad compression"

  has_zstd || return
  peer plain || fail "${name}" "start of one without"
  record 1 --guest="unix:${out}/peer.sock,pid=${vm}" --guest-compression-level=1 -- true ||
    fail "${name}" "status without"
  says "its agent cannot compress.*leave out --guest-compression-level" || fail "${name}" "without"
  no_parts || fail "${name}" "something was recorded"
  peer packed || fail "${name}" "start of a bad one"
  start_recording --guest="unix:${out}/peer.sock,pid=$$,name=bad" --guest-compression-level=1 \
    --guest="unix:${out}/guest.sock,pid=${vm},name=good" || fail "${name}" "start with a bad one"
  until_true grep -q "guest 'bad': .*cannot be decompressed" "${out}/stderr" ||
    fail "${name}" "text of a bad one: $(cat "${out}/stderr")"
  sleep 1
  kill -s INT "${recorder}"
  end_recording 3 || fail "${name}" "status of a bad one"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples beside a bad one's"
}

test_peers() {
  local name="Strange agents" what

  for what in newer:"version 7 .*the host speaks 1 to 1" older:"agent says: .*versions 8 to 9" \
    nonsense:"guest 'pid${vm}': " silent:"guest 'pid${vm}': .*did not answer in time"
  do
    peer "${what%%:*}" || fail "${name}" "start of ${what%%:*}"
    record 1 --guest="unix:${out}/peer.sock,pid=${vm}" -- true || fail "${name}" "status of ${what}"
    says "${what#*:}" || fail "${name}" "${what%%:*}"
  done
  # One that lies costs its own part, and the other guest and the host are there.
  peer liar || fail "${name}" "start of a liar"
  start_recording --guest="unix:${out}/peer.sock,pid=$$,name=liar" \
    --guest="unix:${out}/guest.sock,pid=${vm},name=good" || fail "${name}" "start with a liar"
  until_true grep -q "guest 'liar': .*not perf's pipe format" "${out}/stderr" ||
    fail "${name}" "a liar"
  sleep 1
  kill -s INT "${recorder}"
  end_recording 3 || fail "${name}" "status of a liar"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples beside a liar's"
  test_bad_compression
  peer aux || fail "${name}" "start of one with AUX data"
  start_recording --guest="unix:${out}/peer.sock,pid=$$,name=aux" \
    --guest="unix:${out}/guest.sock,pid=${vm},name=good" || fail "${name}" "start with AUX data"
  sleep 2
  kill "${pids[-2]}"
  until_true grep -q "guest 'aux': .*lost" "${out}/stderr" || fail "${name}" "end of AUX data"
  kill -s INT "${recorder}"
  end_recording 3 || fail "${name}" "status with AUX data"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples beside AUX data"
}

# A guest that cannot be aligned as the user wants is not in the output, but not lost.
test_forced_clock() {
  local name="Forced clock"

  # shellcheck disable=SC2046
  record 3 --guest="unix:${out}/guest.sock,pid=${vm},name=g,clock=pv" $(work) ||
    fail "${name}" "status"
  says "g \(pid ${vm}\) failed .*not in the output" "cannot be aligned" || fail "${name}" "text"
  [ "$(count "^ *cpu-clock:")" -gt 0 ] || fail "${name}" "samples of the host"
  grep "^  perf kvm merge" "${out}/stderr" | sed 's/clock=pv/clock=probe/' > "${out}/command"
  # shellcheck disable=SC2046
  run 0 $(cat "${out}/command") || fail "${name}" "the command that merges by hand"
  says "clock: probe" || fail "${name}" "clock of the command"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples after that"
  rm -rf "$(parts)"
}

# start_recording GUESTS...: sets recorder; returns when the command runs
start_recording() {
  rm -f "${out}/running" "${out}/data"
  perf kvm record -o "${out}/data" -e cpu-clock -F 500 --no-guest-symbols "$@" \
    -- sh -c "touch '${out}/running'; while :; do :; done" \
    > "${out}/stdout" 2> "${out}/stderr" < /dev/null &
  recorder=$!
  pids+=("${recorder}")
  until_true [ -e "${out}/running" ] && return
  cat "${out}/stderr"
  return 1
}

# end_recording STATUS
end_recording() {
  local status=0

  wait "${recorder}" || status=$?
  [ ${status} -eq "$1" ] && return
  echo "perf kvm record ended with ${status}, expected $1:"
  cat "${out}/stderr"
  return 1
}

test_interrupt() {
  local name="Interrupt" sig

  for sig in INT TERM HUP
  do
    start_recording --guest="unix:${out}/guest.sock,pid=${vm},name=g" ||
      fail "${name}" "start for SIG${sig}"
    sleep 1
    kill -s ${sig} "${recorder}"
    end_recording 0 || fail "${name}" "status after SIG${sig}"
    [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples after SIG${sig}"
    no_parts || fail "${name}" "the parts are left after SIG${sig}"
    until_true no_record || fail "${name}" "perf record is left after SIG${sig}"
    pgrep -f "touch '${out}/running'" > /dev/null && fail "${name}" "the command is left"
  done
}

# The merge writes into a pipe here, which is read so slowly that it takes its time.
test_interrupted_merge() {
  local name="Interrupted merge" pipe

  cat > "${out}/work" << 'WORK'
dir=$(echo "$1"/data.parts.*)
mkfifo "${dir}/merged.data"
touch "$1/running"
until [ "$(stat -c %s "${dir}/host.data")" -gt 8000000 ]
do
  perf bench sched messaging -g 1 -l 300
done
touch "$1/enough"
exec sleep 100
WORK
  rm -f "${out}/running" "${out}/enough" "${out}/merging" "${out}/data"
  perf kvm record -o "${out}/data" -e cpu-clock -F 500 -m 64 --no-guest-symbols --clock=probe \
    --guest="unix:${out}/guest.sock,pid=${vm},name=g" -- bash "${out}/work" "${out}" \
    > "${out}/stdout" 2> "${out}/stderr" < /dev/null &
  recorder=$!
  pids+=("${recorder}")
  until_true [ -e "${out}/running" ] || fail "${name}" "start: $(cat "${out}/stderr")"
  pipe=$(parts)/merged.data
  {
    exec 3< "${pipe}" && touch "${out}/merging"
    while [ -p "${pipe}" ] && head -c 65536 <&3 > /dev/null
    do
      sleep 0.05
    done
  } &
  until_true [ -e "${out}/enough" ] || until_true [ -e "${out}/enough" ] ||
    fail "${name}" "there is too little to merge"
  kill -s INT "${recorder}"
  if until_true [ -e "${out}/merging" ]
  then
    kill -s INT "${recorder}"
  else
    fail "${name}" "no merge: $(cat "${out}/stderr")"
    kill -s KILL "${recorder}"
  fi
  end_recording 1 || fail "${name}" "status"
  says "The merge was interrupted" "What was recorded is in ${out}/data.parts" ||
    fail "${name}" "text"
  [ ! -e "${out}/data" ] || fail "${name}" "there is an output"
  [ ! -e "${pipe}" ] || fail "${name}" "half of a file is left"
  # shellcheck disable=SC2046
  run 0 $(grep "^  perf kvm merge" "${out}/stderr") || fail "${name}" "the merge by hand"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples of the guest"
  rm -rf "$(parts)"
}

# As nohup has it: the terminal may go, for the recording and for its command.
test_nohup() {
  local name="nohup" status=0

  # shellcheck disable=SC2016
  (trap '' HUP; perf kvm record -o "${out}/data" -e cpu-clock -F 500 --no-guest-symbols \
    --guest="unix:${out}/guest.sock,pid=${vm},name=g" \
    -- sh -c 'kill -s HUP $$ $PPID; sleep 0.2; echo went on' \
    > "${out}/stdout" 2> "${out}/stderr" < /dev/null) || status=$?
  [ ${status} -eq 0 ] || fail "${name}" "status: $(cat "${out}/stderr")"
  says "went on" || fail "${name}" "the command"
}

test_killed() {
  local name="Killed perf kvm record"

  start_recording --guest="unix:${out}/guest.sock,pid=${vm},name=g" || fail "${name}" "start"
  sleep 1
  kill -s KILL "${recorder}"
  wait "${recorder}" 2> /dev/null
  until_true no_record || fail "${name}" "perf record is left"
  pgrep -f "touch '${out}/running'" > /dev/null && fail "${name}" "the command is left"
  until_true grep -q "connection was lost" "${out}/guest.log" ||
    fail "${name}" "the agent's session"
  # What there was is still good.
  run 0 perf script -i "$(parts)/host.data" -F event || fail "${name}" "the host's part"
  [ -s "$(parts)/guest1-g.data" ] || fail "${name}" "the guest's part"
  rm -rf "$(parts)"
}

test_killed_agent() {
  local name="Killed agent"

  start_agent doomed "events cpu-clock" || fail "${name}" "agent"
  start_recording --guest="unix:${out}/guest.sock,pid=${vm},name=good" \
    --guest="unix:${out}/doomed.sock,pid=$$,name=doomed" || fail "${name}" "start"
  # Its rings are far from half full by then.
  sleep 3
  pkill -KILL -P "${agent}"
  kill -s KILL "${agent}"
  wait "${agent}" 2> /dev/null
  until_true grep -q "guest 'doomed': .*lost" "${out}/stderr" || fail "${name}" "the sentence"
  kill -s INT "${recorder}"
  end_recording 3 || fail "${name}" "status"
  says "doomed \(pid $$\) failed" || fail "${name}" "table"
  run 0 perf report -i "${out}/data" --header-only || fail "${name}" "header"
  says "the channel broke" || fail "${name}" "what is known of its losses"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples of the other guest"
  [ "$(count "VM: *$$ ")" -gt 0 ] || fail "${name}" "samples from before"
  [ "$(count "^ *cpu-clock:")" -gt 0 ] || fail "${name}" "samples of the host"
}

# A VM that is paused for a while, and then goes on, has lost nothing of its session.
test_pause() {
  local name="Pause" session children

  start_recording --guest="unix:${out}/guest.sock,pid=${vm},name=g" || fail "${name}" "start"
  session=$(pgrep -P "${guest_agent}")
  children=$(pgrep -P "${session}")
  # shellcheck disable=SC2086
  kill -s STOP "${session}" ${children}
  sleep 6
  # shellcheck disable=SC2086
  kill -s CONT "${session}" ${children}
  sleep 1
  kill -s INT "${recorder}"
  end_recording 0 || fail "${name}" "status"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples"
}

# A guest that sends more than it may is cut off, and its beginning is there.
test_limit() {
  local name="Limit"

  start_recording --guest="unix:${out}/guest.sock,pid=${vm},name=g" -F 9000 -g \
    --guest-max-size=1M || fail "${name}" "start"
  until_true grep -q "guest 'g': .*more bytes" "${out}/stderr" || fail "${name}" "text"
  kill -s INT "${recorder}"
  end_recording 3 || fail "${name}" "status"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "samples from before"
}

# The parts that are there must stay, with the command that merges them.
test_disk_full() {
  local name="Full disk" limit

  # A limit of the size of files is as good, and needs no right to mount. It is
  # reached when both record: beyond what there is at the start.
  record 0 --guest="unix:${out}/guest.sock,pid=${vm}" -- true || fail "${name}" "size"
  limit=$(($(stat -c %s "${out}/data") / 1024 + 300))
  run 1 bash -c "ulimit -f ${limit}; exec perf kvm record -o '${out}/data' -e cpu-clock -F 4000 \
    --no-guest-symbols --guest=unix:${out}/guest.sock,pid=${vm} -- \
    perf bench sched messaging -g 1 -l 100000" ||
    fail "${name}" "status"
  says "File too large" "perf kvm merge .*host.data --guest=" || fail "${name}" "text"
  [ -s "$(parts)/host.data" ] || fail "${name}" "the parts"
  until_true no_record || fail "${name}" "perf record is left"
  rm -rf "$(parts)"
}

# Two recordings of one guest at a time both have it, and a third is told why it has not.
test_sessions() {
  local name="Sessions" first second guest="unix:${out}/shared.sock,pid=${vm},name=g"

  start_agent shared "events cpu-clock
sessions 2" || fail "${name}" "agent"
  start_recording --guest="${guest}" || fail "${name}" "start of the first"
  first=${recorder}
  start_recording --guest="${guest}" -o "${out}/second" || fail "${name}" "start of the second"
  second=${recorder}
  record 1 --guest="${guest}" -o "${out}/third" -- true || fail "${name}" "status of the third"
  says "guest 'g': the agent says: the policy's 'sessions' are all in use" ||
    fail "${name}" "text of the third"
  sleep 1
  kill -s INT "${first}"
  recorder=${first}
  end_recording 0 || fail "${name}" "status of the first"
  # The other one goes on, and there is room for one more.
  record 0 --guest="${guest}" -o "${out}/third" -- sleep 0.5 || fail "${name}" "status of a fourth"
  kill -s INT "${second}"
  recorder=${second}
  end_recording 0 || fail "${name}" "status of the second"
  [ "$(count "VM: *${vm} ")" -gt 0 ] || fail "${name}" "the guest's samples in the first"
  [ "$(count "VM: *${vm} " second)" -gt "$(count "VM: *${vm} " third)" ] ||
    fail "${name}" "the guest's samples in the second"
  [ "$(count "VM: *${vm} " third)" -gt 0 ] || fail "${name}" "the guest's samples in a fourth"
  [ "$(grep -c "1 recordings, .* the host, which counted [1-9]" "${out}/shared.log")" = 3 ] ||
    fail "${name}" "the agent's log: $(cat "${out}/shared.log")"
}

test_guest_exec() {
  local name="Command in the guest"

  start_agent exec "workload yes" || fail "${name}" "agent"
  # The agent has a PATH of its own.
  record 0 --guest="unix:${out}/exec.sock,pid=${vm},name=g" --guest-exec \
    -- "$(command -v perf)" bench sched messaging -g 1 -l 300 || fail "${name}" "status"
  perf script -i "${out}/data" -G -F machine_pid,comm 2> /dev/null > "${out}/comms"
  grep -q "VM: *${vm} .*sched-messaging" "${out}/comms" ||
    fail "${name}" "samples of the command"
}

if [ "${1:-}" = all ]
then
  test_all_inside
  exit ${err}
fi
test_untouched
test_usage
test_no_vm
if ! perf record -a -e cpu-clock -o /dev/null -- true > /dev/null 2>&1
then
  [ ${err} -eq 0 ] || exit 1
  echo "Skip: no permission to record"
  exit 2
fi
test_record
test_options
test_host_only
test_compressed
test_peer_pid
test_two_guests
test_all
test_refusals
if command -v python3 > /dev/null
then
  test_peers
else
  echo "No test of strange agents: python3, which plays them, is missing"
fi
test_forced_clock
test_interrupt
test_interrupted_merge
test_nohup
test_killed
test_killed_agent
test_pause
test_limit
test_disk_full
test_sessions
test_guest_exec
exit ${err}
