#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stock QEMU moves a guest without pvpmu's registers: the driver programs them again, and what is lost is time not run.
. lab/tests/migration-lib.sh

# By how many points the share of cycles in guest-ns may differ from that of the same work in a guest that stays. It is
# less than 100, as guest-ns has what KVM does around each entry, too: the more exits, and the slower the host, the less.
margin=10

# assert_share WHAT: of the counts in $work/stat, against the reference
assert_share() {
	share=$(percent "$(stat_field cycles 1)" "$(stat_field pvpmu/guest-ns/ 1)")
	assert_between "$share" $((reference - margin)) $((reference + margin)) "$1 in percent of guest-ns"
}

start_guest qemu=qemu-system-x86_64
run_there "perf stat -x, -o /tmp/stat -e cycles,pvpmu/guest-ns/ -- /tmp/before 50000"
run_there cat /tmp/stat >"$work/stat"
reference=$(percent "$(stat_field cycles 1)" "$(stat_field pvpmu/guest-ns/ 1)")
assert_between "$reference" 50 105 "cycles in percent of guest-ns, without a migration"

move_while_counting qemu=qemu-system-x86_64
# KVM's own counts go on from the page, which moves with the guest's memory. For the gap, perf scales.
assert_between "$(percent "$(stat_field $cpuid_event 1)" "$executed")" 95 105 "CPUIDs in percent of those executed"
assert_share cycles

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
assert_share "scaled cycles"
guest-stop here
