#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stock QEMU moves a guest without the clock's registers while perf samples in it: time goes on without a step back, the
# guest registers again, and the file tells of it. Moved to where no clock is offered, the guest goes on by its own.
. lab/tests/migration-lib.sh
. lab/tests/clock-lib.sh

interval_ns=5000000	# of the samples
# What a sample may be late by beside the time that QEMU says the guest was not run: both QEMUs have one processor, which
# is emulated on a machine that does other work. A clock of another origin would be off by several seconds.
slack_ns=1000000000
seconds_to_notice=10	# the watch looks once per second

# start_sampling: each tick of the clock is a sample, also of an idle vCPU, until end_job
start_sampling() {
	start_job <<-END
		perf record -q -o /tmp/samples -e cpu-clock -c $interval_ns -a -- \
			sh -c 'touch /tmp/sampling; until [ -e /tmp/stop ]; do :; done'
	END
	run_there "i=0; until [ -e /tmp/sampling ] || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done; rm /tmp/sampling" ||
		fail "perf record did not start: $(run_there cat /tmp/log)"
	sleep 1
}

# move_sampled FROM TO [SETTING...]: leaves in $before and $after what the clock read on either side, and in $down_ns how
# long the guest was not run, as QEMU says
move_sampled() {
	before=$(in_guest perf-now)
	move_guest "$@" >"$work/migration"
	after=$(in_guest perf-now)
	cat "$work/migration"
	down_ns=$(($(sed -n 's/.*"downtime": \([0-9]*\).*/\1/p' "$work/migration") * 1000000))
	[ "$after" -gt "$before" ] || fail "the clock stepped back over the migration, from $before to $after"
}

# assert_times_go_on: the samples', in the order in which they were written
assert_times_go_on() {
	sample_times /tmp/samples >"$work/times"
	sort -n "$work/times" | cmp - "$work/times" || fail "the times of the samples step back"
	awk -v before="$before" '$1 < before { early++ } $1 > before { late++ } END { print early + 0, late + 0 }' \
		"$work/times" >"$work/out"
	read -r early late <"$work/out"
	{ [ "$early" -gt 0 ] && [ "$late" -gt 0 ]; } || fail "samples before and after the migration: $early and $late"
	gap=$(awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d\n", gap }' "$work/times")
	assert_between "$gap" $interval_ns $((down_ns + interval_ns + slack_ns)) \
		"largest gap in ns between two of $((early + late)) samples, with $down_ns ns of downtime"
}

start_guest qemu=qemu-system-x86_64
assert_eq "$(source_line)" "page: the host's" "kernel.perf_pv_clock"
start_sampling
move_sampled here there
wait_for_source "page: the host's, registered again after it was lost" $seconds_to_notice
assert_aligned "after a migration"
assert_user_time "after a migration"
[ "$(relation 3)" -gt 0 ] || fail "the clock did not stand still while the guest was moved: OFFSET is $(relation 3)"
end_job
assert_times_go_on
in_guest perf report --header-only -i /tmp/samples >"$work/header" 2>&1
assert_contains "$work/header" '^# perf clock : page of a KVM host, .*; it changed while recording' "perf.data's header tells of the change"

# A CPU model of named features has none that QEMU does not know.
start_sampling
move_sampled there here cpu=host,-invtsc
lost="the host no longer offers its clock, going on with local_clock()"
wait_for_source "off: $lost" $seconds_to_notice
assert_eq "$(in_guest cat /proc/sys/kernel/perf_pv_clock_host)" "" "kernel.perf_pv_clock_host"
in_guest dmesg >"$work/dmesg"
assert_contains "$work/dmesg" "perf_pv_clock: the host no longer offers its clock" "so says the guest's kernel"
end_job
assert_times_go_on
in_guest perf report --header-only -i /tmp/samples >"$work/header" 2>&1
assert_contains "$work/header" '^# perf clock : page of a KVM host, .*; it changed while recording' "perf.data's header tells of the loss"
guest-stop here
