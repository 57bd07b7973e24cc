#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A vCPU goes and comes back while events count: nothing breaks, and the counts after it are exact.
. lab/tests/pvpmu-lib.sh

online=/sys/devices/system/cpu/cpu1/online

cpu1() {
	guest sh -c "echo $1 >$online" || fail "could not write $1 to $online"
}

# System-wide and per task, across two rounds of going and coming, which begin when all CPUs are counted.
executed=60000
guest -t 400 sh -c "
	rm -f /tmp/counts
	perf stat -x, -o /tmp/all -a -e cycles,pvpmu/guest-ns/ -- sh -c 'touch /tmp/counts; sleep 5' &
	until [ -e /tmp/counts ]; do sleep .1; done
	perf stat -x, -o /tmp/task -e $cpuid_event -- run-cpuid $executed &
	for i in 1 2; do echo 0 >$online; sleep .2; echo 1 >$online; done
	wait
	cat /tmp/all /tmp/task
" >"$work/stat" || fail "perf stat across the hotplug: $(cat "$work/stat")"
for event in cycles pvpmu/guest-ns/ $cpuid_event; do
	[ "$(stat_field "$event" 1)" -gt 0 ] || fail "$event counted nothing"
done
all=$(stat_field $cpuid_event 1)
guest_stat $cpuid_event -- run-cpuid 0
assert_eq $((all - $(stat_field $cpuid_event 1))) $executed "CPUIDs of a task across the hotplug"

# The registers of a CPU that came back are programmed anew.
cpu1 0
cpu1 1
assert_eq "$(cpuids_counted "" 1000)" 1000 "CPUIDs after the hotplug"
guest_stat $cpuid_event,cycles,instructions -C 1 -- taskset -c 1 run-cpuid 2000
assert_between "$(stat_field $cpuid_event 1)" 2000 4000 "CPUIDs on CPU 1"
assert_ratio cycles instructions $cycles_per_instruction 5
