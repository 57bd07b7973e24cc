#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stock QEMU moves a guest without pvpmu's registers: the driver programs them again, and what is lost is time not run.
. lab/tests/migration-lib.sh

# In guest-ns 100 nominal cycles are: the synthetic PMU's rate, and what KVM counts around the guest's own time
low=80 high=105

move_while_counting qemu=qemu-system-x86_64
# KVM's own counts go on from the page, which moves with the guest's memory. For the gap, perf scales.
assert_between "$(percent "$(stat_field $cpuid_event 1)" "$executed")" 95 105 "CPUIDs in percent of those executed"
assert_between "$(percent "$(stat_field cycles 1)" "$(stat_field pvpmu/guest-ns/ 1)")" $low $high \
	"cycles in percent of guest-ns"

assert_between "$(stat_field cycles 5 | cut -d. -f1)" 50 99 "running time of cycles in percent"

# Nobody samples here, and nobody reads the counter before it is moved back: perf scales what is left.
start_job <<-END
	perf stat -x, -o /tmp/stat -e cycles,pvpmu/guest-ns/ -- /tmp/before 1000 /tmp/stop
END
sleep 3
move_guest there here
sleep 3
end_job
run_there cat /tmp/stat >"$work/stat"
cat "$work/stat"
assert_between "$(stat_field cycles 5 | cut -d. -f1)" 20 99 "running time of cycles in percent"
assert_between "$(percent "$(stat_field cycles 1)" "$(stat_field pvpmu/guest-ns/ 1)")" $low $high \
	"scaled cycles in percent of guest-ns"
guest-stop here
