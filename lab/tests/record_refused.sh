#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Whom an agent does not serve: processes of its own machine, with or without privileges, other guests, and other users. Each
# is told why and the agent says it; after that its host is served as before.
. lab/tests/lib.sh

port=4300
user=1000

# Sends what is no frame, and prints what comes.
cat >"$LAB_OUT/connect.py" <<'END'
import socket, sys
kind, place = sys.argv[1:3]
client = socket.socket(socket.AF_VSOCK if kind == "vsock" else socket.AF_UNIX)
client.settimeout(20)
try:
    client.connect(tuple(map(int, place.split(":"))) if kind == "vsock" else place)
    print("got", client.recv(200))
except OSError as error:
    print("error", error)
END
connect="/usr/bin/python3 $LAB_OUT/connect.py"
as_user="setpriv --reuid $user --clear-groups"

# assert_refused COUNT WHAT LOG: the agent's log has so many refusals, and no session
assert_refused() {
	assert_eq "$(grep -c 'serves' "$3")" "$1" "$2"
	grep -q 'session' "$3" && fail "$2: there was a session: $(cat "$3")"
	grep 'serves' "$3"
}

guest-agent guest
cid=$(cat /run/lab/guest/cid)
guest "$connect vsock 1:4242; $as_user $connect vsock 1:4242; $connect vsock $cid:4242"
guest cat /tmp/agent.log >"$work/log"
assert_refused 3 "processes of the guest itself" "$work/log"

perf kvm agent --listen vsock:$port 2>"$work/log" &
agent=$!
until grep -q listening "$work/log"; do sleep 0.1; done
guest "$connect vsock 2:$port"
kill $agent
wait $agent || :
assert_refused 1 "a guest at its host's port" "$work/log"

# The directory lets everybody in, so that it is the agent which refuses.
chmod 755 "$work"
perf kvm agent --listen "unix:$work/socket" 2>"$work/log" &
agent=$!
until grep -q listening "$work/log"; do sleep 0.1; done
chmod 666 "$work/socket"
sh -c "$as_user $connect unix $work/socket"
kill $agent
wait $agent || :
assert_refused 1 "another user" "$work/log"

perf kvm record --guest=guest --no-guest-symbols -o "$work/data" -e cpu-clock -- sleep 1 >"$work/out" 2>&1 ||
	fail "the host is not served: $(cat "$work/out")"
assert_contains "$work/out" '^  guest \(pid' "the host is served"
guest pkill perf
