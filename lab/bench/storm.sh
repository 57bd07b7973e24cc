#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# How many interrupts a vCPU gets when it samples the busiest events with period 1, beside the cap on them.
. lab/tests/lib.sh

seconds=5

guest-need guest vcpus=1 root=image
pmis() {
	cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/pvpmu_pmis
}

guest "for event in vm-exits guest-ns; do
		perf record -q -a -e pvpmu/\$event/ -c 1 -o /tmp/storm.\$event -- sleep 1000 >/dev/null 2>&1 &
	done
	sleep 3"
before=$(pmis)
started=$(date +%s%N)
sleep $seconds
count=$(($(pmis) - before))
ns=$(($(date +%s%N) - started))
guest pkill -INT perf

echo "bench: pmi_storm_interrupts_per_vcpu_s $((count * 1000000000 / ns)) interrupts"
echo "bench: pmi_storm_cap_per_vcpu_s $(cat /sys/module/kvm/parameters/pvpmu_max_rate) interrupts"
