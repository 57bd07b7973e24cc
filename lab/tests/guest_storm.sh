#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every vCPU samples with period 1: the guest stays usable, interrupts keep to the cap, the host's own rate stays.
. lab/tests/lifecycle-lib.sh

cap=$(cat /sys/module/kvm/parameters/pvpmu_max_rate)
host_rate=/proc/sys/kernel/perf_event_max_sample_rate
seconds=6 vcpus=2

pmis() {
	cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/pvpmu_pmis
}
before_rate=$(cat $host_rate)

guest "for event in vm-exits guest-ns cycles; do
		perf record -q -a -e pvpmu/\$event/ -c 1 -o /tmp/storm.\$event -- sleep 1000 >/dev/null 2>&1 &
	done
	sleep 4"
# The time is taken around both readings: starting a process takes a while in nested VMs.
started=$(date +%s%N)
first=$(pmis)
throttled=0
for _ in $(seq $seconds); do
	guest -t 30 true || fail "the guest took no command within 30 s"
	for vcpu in 0 1; do
		[ $(($(register guest $vcpu status) >> 48 & 1)) = 0 ] || throttled=1
	done
	sleep 1
done
count=$(($(pmis) - first))
ms=$((($(date +%s%N) - started) / 1000000))

echo "$count interrupts in $ms ms on $vcpus vCPUs, the cap is $cap in a second and vCPU"
[ "$count" -gt 0 ] || fail "there was no storm: no interrupts"
# What was saved up for a tenth of a second comes on top.
[ "$count" -le $((vcpus * cap * (ms + 100) / 1000 + vcpus)) ] || fail "more interrupts than the cap allows"
assert_eq $throttled 1 "THROTTLED, seen in GLOBAL_STATUS"
assert_eq "$(cat $host_rate)" "$before_rate" "the host's own maximum sample rate"
guest "pkill -INT perf; i=0; while pgrep perf >/dev/null && [ \$((i += 1)) -lt 30 ]; do sleep 1; done; ! pgrep perf" ||
	fail "perf did not end after the storm"
