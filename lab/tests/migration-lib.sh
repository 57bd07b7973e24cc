# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests of live migration share: a guest that counts and samples moves from one QEMU to another.
. lab/tests/pvpmu-lib.sh

# start_guest [SETTING...]: as "here", with its programs under names that samples can tell apart
start_guest() {
	guest-stop here
	guest-start here vcpus=1 root=image mem=300 "$@"
	guest -g here "ln -s /usr/bin/run-cpuid /tmp/before; ln -s /usr/bin/run-cpuid /tmp/after"
}

# run_there COMMAND: in the guest, wherever it is
run_there() {
	guest -g "$place" "$@"
}

# start_job: what comes on standard input is the guest's work, in the background; it ends soon after /tmp/stop is there
start_job() {
	run_there "rm -f /tmp/stop /tmp/done"
	{
		cat
		echo "touch /tmp/done"
	} | guest -g "$place" -i "cat >/tmp/job; setsid sh /tmp/job </dev/null >/tmp/log 2>&1 &"
}

end_job() {
	run_there "touch /tmp/stop; i=0
		until [ -e /tmp/done ] || [ \$((i += 1)) -gt 60 ]; do sleep 1; done; [ -e /tmp/done ]" ||
		fail "the guest's work did not end after the migration: $(run_there cat /tmp/log)"
}

# move_guest FROM TO [SETTING...]: to a new QEMU; the old one ends
move_guest() {
	from=$1 to=$2
	shift 2
	guest-start "$to" vcpus=1 root=image mem=300 wait=0 "$@" -- -incoming "unix:/run/lab/$to/incoming"
	guest-qmp "$from" migrate-to "$to"
	guest-stop "$from"
	place=$to
}
place=here

# assert_sampled COMMAND WHEN: it is in $work/samples
assert_sampled() {
	samples=$(grep -cw "$1" "$work/samples") || fail "no samples from $2 the migration"
	echo "ok: samples from $2 the migration: $samples"
}

# move_while_counting [SETTING...]: perf stat and perf record run while the guest moves from here to there, a new QEMU.
# Leaves what perf stat wrote in $work/stat, and in $executed the CPUIDs that it should have counted.
move_while_counting() {
	start_job <<-END
		perf record -q -o /tmp/samples -e pvpmu/guest-ns/ -c 5000000 -a -- sleep 1000 &
		record=\$!
		perf stat -x, -o /tmp/stat -e $cpuid_event,cycles,pvpmu/guest-ns/ -- \
			/tmp/before 1000 /tmp/stop >/tmp/executed
		kill -INT \$record
		wait \$record
	END
	sleep 4
	run_there test -e /tmp/executed || fail "perf stat has not started: $(run_there cat /tmp/log)"
	move_guest here there "$@"
	run_there /tmp/after 5000
	end_job

	run_there cat /tmp/stat >"$work/stat"
	# What the program's start executes counts as well.
	run_there "perf stat -x, -o /tmp/start -e $cpuid_event -- /tmp/before 0"
	# shellcheck disable=SC2034 # for the tests
	executed=$(($(run_there cat /tmp/executed) + $(run_there cat /tmp/start | awk -F, '/cpuid/ { print $1 }')))
	echo "perf stat in the guest, of $executed CPUIDs:"
	cat "$work/stat"
	run_there "perf script -i /tmp/samples -F comm 2>/dev/null" >"$work/samples"
	assert_sampled before before
	assert_sampled after after
}
