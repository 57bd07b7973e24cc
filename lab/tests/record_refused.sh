#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Whom an agent does not serve: processes of its own machine, with or without privileges, a guest at its host's port, and
# another user. Each is told why, the agent says it, and its host is served after that.
. lab/tests/lib.sh

port=4300
as_user="/usr/bin/setpriv --reuid 1000 --clear-groups"
record="perf kvm record --no-guest-symbols -e cpu-clock"

# assert_refused WHAT COUNT SENTENCE TOLD LOG: so often, both to who asked and in the agent's log, which has no session
assert_refused() {
	[ "$(grep -c "$3" "$4")" = "$2" ] || fail "$1: told: $(cat "$4")"
	echo "ok: $1: told $2 times '$3'"
	assert_eq "$(grep -c "$3" "$5")" "$2" "$1: in the agent's log"
	grep -q 'session' "$5" && fail "$1: there was a session: $(cat "$5")"
	return 0
}

guest-agent guest
guest "for who in '' '$as_user'; do \$who $record --guest=vsock:1,pid=1 -o /tmp/none -- true 2>&1; done
	$record --guest=vsock:$(cat /run/lab/guest/cid),pid=1 -o /tmp/none -- true 2>&1" >"$work/told" || :
guest cat /tmp/agent.log >"$work/log"
assert_refused "processes of the guest itself" 3 'serves the host (CID 2) only, not CID 1' "$work/told" "$work/log"

perf kvm agent --listen vsock:$port 2>"$work/log" &
agent=$!
until grep -q listening "$work/log"; do sleep 0.1; done
guest "$record --guest=vsock:2:$port,pid=1 -o /tmp/none -- true 2>&1" >"$work/told" || :
kill $agent
wait $agent || :
assert_refused "a guest at its host's port" 1 "serves the host (CID 2) only, not CID $(cat /run/lab/guest/cid)" "$work/told" "$work/log"

# Directory and socket let everybody in, so that it is the agent which refuses.
chmod 755 "$work"
perf kvm agent --listen "unix:$work/socket" 2>"$work/log" &
agent=$!
until grep -q listening "$work/log"; do sleep 0.1; done
chmod 666 "$work/socket"
$as_user sh -c "$record --guest=unix:$work/socket,pid=1 -o /tmp/none -- true" >"$work/told" 2>&1 || :
kill $agent
wait $agent || :
assert_refused "another user" 1 'serves root and uid 0 only, not uid 1000' "$work/told" "$work/log"

$record --guest=guest -o "$work/data" -- sleep 1 >"$work/out" 2>&1 || fail "the host is not served: $(cat "$work/out")"
assert_contains "$work/out" '^  guest \(pid' "the host is served"
guest pkill perf
