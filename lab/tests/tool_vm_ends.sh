#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A VM that is killed while it is counted: named, its counts kept, the other VM counted on, status 3.
. lab/tests/tool-lib.sh

guest-start second vcpus=1 root=image mem=300
pid=$(guest-pid second)

perf kvm pvpmu stat -x, -o "$work/csv" -e vm-exits-cpuid --timeout 60000 -- \
	sh -c "guest -g second run-cpuid 5000; guest-stop second; sleep 1;
		guest run-cpuid 3000" >"$work/out" 2>"$work/err" && fail "status 0"
status=$?
assert_eq "$status" 3 "the status"
assert_contains "$work/err" "VM 'second' \(pid $pid\) ended while it was counted" "the VM is named"
assert_between "$(host_sum "$work/csv" vm-exits-cpuid "^second-$pid\$")" 5000 15000 "what was counted of it"
assert_between "$(host_sum "$work/csv" vm-exits-cpuid '^guest-')" 3000 15000 "the other VM is counted on"

# When no VM is left, counting ends by itself.
guest-start second vcpus=1 root=image mem=300
(
	while ! [ -s "$work/csv2" ]; do
		sleep 0.2
	done
	guest-stop second
) &
expect 3 perf kvm pvpmu stat --vm second -I 100 -x, -o "$work/csv2" --timeout 60000
wait
expect 1 perf kvm pvpmu stat --vm second --timeout 100
assert_contains "$work/err" "There is no VM 'second'" "a VM that has ended"
