#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# perf kvm pvpmu stat on the host: exact counts, per VM and per vCPU, intervals that add up, JSON.
. lab/tests/tool-lib.sh

pid=$(guest-pid guest)
count="perf kvm pvpmu stat -x, -o $work/csv"

# total EVENT: over the guest's vCPUs, as debugfs has it
total() {
	cat /sys/kernel/debug/kvm/"$pid"-*/vcpu*/pvpmu |
		awk -v event="$1" '$1 == "total" && $2 == event { sum += $3 } END { printf "%d\n", sum }'
}

# The guest stands still while counting starts and ends, so KVM's own totals, the count
# by VM and that by vCPU must agree to the last exit.
kill -STOP "$pid"
for event in vm-exits vm-exits-cpuid pvpmu-exits; do
	total $event >"$work/$event"
done
perf kvm pvpmu stat -x, -o "$work/vm.csv" -e vm-exits,vm-exits-cpuid -p "$pid" -- sh -c "
	$count -e vm-exits,vm-exits-cpuid -p $pid --per-vcpu -- sh -c '
		kill -CONT $pid; guest run-cpuid 10000; kill -STOP $pid; sleep 0.5'" ||
	fail "stat of stat"
for event in vm-exits vm-exits-cpuid pvpmu-exits; do
	by_vm=$(host_sum "$work/vm.csv" $event "^guest-$pid\$")
	assert_eq "$(host_sum "$work/csv" $event '^guest/vcpu[01]-')" "$by_vm" "$event by vCPU"
	assert_eq "$(($(total $event) - $(cat "$work/$event")))" "$by_vm" "$event in debugfs"
done
kill -CONT "$pid"
assert_between "$(host_sum "$work/vm.csv" vm-exits-cpuid .)" 10000 15000 "CPUIDs"
assert_contains "$work/csv" '^guest/vcpu0-.*,kvm_vcpu/pvpmu-exits/,' "own exits"
assert_contains "$work/csv" '^guest/vcpu0-.*,kvm_vcpu/pvpmu-pmis/,' "own PMIs"

# The lines of all intervals add up to at least what one run of the program takes, once.
# shellcheck disable=SC2086
expect 0 $count -I 200 -e vm-exits-cpuid --vm guest -- guest run-cpuid 10000
sed -i 's/^ *[0-9.]*,//' "$work/csv"
assert_between "$(host_sum "$work/csv" vm-exits-cpuid '^guest-')" 10000 15000 "CPUIDs of all intervals"

# An idle vCPU may not run at all, and then there is nothing to count.
expect 0 perf kvm pvpmu stat -d -- guest run-cpuid 100
assert_contains "$work/err" "^ +guest-$pid +[0-9,]+ .*kvm_vcpu/guest-ns/" "guest-ns by VM"
assert_contains "$work/err" "^ +guest-$pid +[0-9,]+ .*kvm_vcpu/steal-ns/" "steal-ns by VM"
for figure in 'exits/s' 'ns of guest time per exit' '% +of runnable time stolen' '% +of exits'; do
	assert_contains "$work/err" "# +[0-9]+\.[0-9]+ +$figure" "figure: $figure"
done
expect 0 perf kvm pvpmu stat -j -o "$work/json" -- guest run-cpuid 100
assert_json_lines "$work/json"

expect 7 perf kvm pvpmu stat -- sh -c 'exit 7'
expect 1 perf kvm pvpmu stat --vm nobody -- true
expect 1 perf kvm pvpmu stat -e no-such-event -- true
expect 1 perf kvm pvpmu stat -- /no/such/command
assert_contains "$work/err" "Cannot run '/no/such/command': No such file" "a command that does not exist"
