#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Counts per task: two tasks that compete for a CPU each see their own exits, exactly; children are inherited.
. lab/tests/pvpmu-lib.sh

# Both on CPU 0, long enough to be switched many times.
cat >"$work/both" <<END
set -e
perf stat -x, -o /tmp/stat.1 -e $cpuid_event -- taskset -c 0 run-cpuid 6000 &
perf stat -x, -o /tmp/stat.2 -e $cpuid_event -- taskset -c 0 run-cpuid 4000
wait
perf stat -x, -o /tmp/stat.0 -e $cpuid_event -- taskset -c 0 run-cpuid 0
cat /tmp/stat.0 /tmp/stat.1 /tmp/stat.2
END
guest -t 400 sh -c "$(cat "$work/both")" >"$work/stat"
awk -F, -v event=$cpuid_event '$3 == event { print $1 }' "$work/stat" >"$work/counts"
{ read -r none && read -r first && read -r second; } <"$work/counts" || fail "$(cat "$work/stat")"
assert_eq $((first - none)) 6000 "the first task's CPUIDs"
assert_eq $((second - none)) 4000 "the second task's CPUIDs"

# A shell and its two children, at once.
children() {
	guest_stat $cpuid_event -- sh -c "run-cpuid $1 & run-cpuid $1; wait"
	stat_field $cpuid_event 1
}
none=$(children 0)
assert_eq $(($(children 1000) - none)) 2000 "CPUIDs of two inherited children"

# A task is not charged for what others do.
guest -t 400 sh -c 'run-cpuid 10000 & perf stat -x, -e '$cpuid_event' -- sleep 1; wait' >/dev/null 2>"$work/stat"
assert_between "$(stat_field $cpuid_event 1)" 0 1000 "CPUIDs of a task that sleeps beside another"
