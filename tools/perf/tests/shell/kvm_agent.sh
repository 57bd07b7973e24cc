#!/bin/bash
# perf kvm agent tests
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_agent.XXXXX)
err=0
agent=0

cleanup() {
  [ "${agent}" -eq 0 ] || kill "${agent}" 2> /dev/null
  rm -rf "${out}"
  trap - EXIT TERM INT
}

trap_cleanup() {
  cleanup
  exit 1
}
trap trap_cleanup TERM INT
trap cleanup EXIT

fail() {
  echo "$1 [Failed: $2]"
  err=1
}

# run STATUS COMMAND...: the command must end with this status
run() {
  local expected=$1 status=0
  shift
  timeout 20 "$@" > "${out}/stdout" 2> "${out}/stderr" || status=$?
  [ ${status} -eq "${expected}" ] && return
  echo "'$*' ended with ${status}, expected ${expected}:"
  cat "${out}/stdout" "${out}/stderr"
  return 1
}

says() {
  grep -q -- "$1" "${out}/stderr"
}

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

# A host in a few lines, so that the frames are looked at by another implementation.
host() {
  timeout 60 python3 - "${out}/s" "$@" << 'HOST'
import select, socket, struct, sys, time

HELLO, WELCOME, ERROR = 1, 2, 3
START, STARTED, DATA, STOP, SUMMARY, BYE = 8, 9, 10, 11, 12, 13
path, what, *options = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(30)
sock.connect(path)

def send(kind, fixed=b"", var=b""):
    header = struct.pack("<IHHII", 16 + len(fixed) + len(var), kind, len(fixed), 1, 0)
    try:
        sock.sendall(header + fixed + var)
    except BrokenPipeError:
        pass # why is in what the agent sent

def take(size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            sys.exit("the agent closed the connection")
        data += piece
    return data

def receive():
    size, kind, fixed, _, _ = struct.unpack("<IHHII", take(16))
    rest = take(size - 16)
    return kind, rest[:fixed], rest[fixed:]

def expect(kind):
    got, fixed, var = receive()
    if got == ERROR:
        sys.exit("error %d: %s" % (struct.unpack("<I", fixed[:4])[0], var.decode()))
    if got != kind:
        sys.exit("frame %d, not %d" % (got, kind))
    return fixed, var

# A longer HELLO is a newer host's.
send(HELLO, b"PVAG" + struct.pack("<HH", 1, 9) + b"newer")
expect(WELCOME)
if what == "wait":
    print("connected", flush=True)
    time.sleep(30)
send(START, bytes(8), b"".join(o.encode() + b"\0" for o in options))
expect(STARTED)
if what == "leave":
    expect(DATA)
    sys.exit(0)
if what == "stall":
    print("started", flush=True)
    time.sleep(5)
start = None
stopped = False
received = 0
while True:
    if start and not stopped and time.time() - start > 1:
        send(STOP)
        stopped = True
    if not select.select([sock], [], [], 30 if stopped or not start else 0.1)[0]:
        if stopped or not start:
            sys.exit("the agent is silent")
        continue
    kind, fixed, var = receive()
    if kind == SUMMARY:
        break
    if kind != DATA or struct.unpack("<Q", fixed)[0] != received:
        sys.exit("frame %d after %d bytes" % (kind, received))
    received += len(var)
    if what == "record":
        sys.stdout.buffer.write(var)
    # perf writes nothing before its events are open
    start = start or time.time()
numbers = struct.unpack("<6Q2I", fixed)
print("bytes %d sent %d samples %d lost %d lost-samples %d throttled %d"
      " status %d flags %d" % numbers, file=sys.stderr)
sys.stderr.write(var.decode())
send(BYE)
sys.exit(numbers[0] != received)
HOST
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
  says "status 0 flags 0" || fail "${name}" "$(cat "${out}/stderr")"
  perf report -i - --stdio < "${out}/data" > "${out}/report" 2>&1 || fail "${name}" "perf report"
  grep -q "cpu-clock" "${out}/report" || fail "${name}" "no event in the report"
  logged "1 recordings.*said BYE" || fail "${name}" "log"
}

test_refusal() {
  local name="Refusal"

  host record --all-cpus --event=faults 2> "${out}/stderr" && fail "${name}" "an event"
  nothing_left
  says "error 5: event 'faults' is not in the 'events'" || fail "${name}" "$(cat "${out}/stderr")"
  host record --all-cpus "--output=${out}/x" 2> "${out}/stderr" && fail "${name}" "an option"
  nothing_left
  says "error 5: option '--output" || fail "${name}" "$(cat "${out}/stderr")"
  host record -- touch "${out}/x" 2> "${out}/stderr" && fail "${name}" "a command"
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

# The rings are small and the host slow: records are lost, the guest is not stopped.
test_slow_host() {
  local name="Slow host"

  start_agent "ring-memory $((4096 * $(getconf _NPROCESSORS_CONF)))
bandwidth 300K" || fail "${name}" "start"
  timeout 20 sh -c 'while :; do :; done' &
  host stall --all-cpus --event=cpu-clock --freq=9000 > /dev/null 2> "${out}/stderr"
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
test_record
nothing_left
test_refusal
nothing_left
test_lost_host
test_busy
nothing_left
stop_agent TERM || fail "Agent" "end"
test_slow_host
test_end
test_killed
exit ${err}
