#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# How many exits the guest's PMU driver costs per context switch and per read, as the host counts them.
. lab/tests/lib.sh

few=500 many=5500

guest-need guest vcpus=1
vcpu=$(cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pid)
pvpmu=$(guest cat /sys/bus/event_source/devices/pvpmu/type)

# exits MODE ROUNDS CONFIG...: pvpmu's exits on the vCPU while the guest carries the load
exits() {
	mode=$1 rounds=$2
	shift 2
	perf stat -x, -o "$work/stat" -e kvm_vcpu/pvpmu-exits/ -t "$vcpu" -- \
		guest build/lab/pmu-load "$mode" "$rounds" "$pvpmu" "$@" >/dev/null
	stat_value "$work/stat" kvm_vcpu/pvpmu-exits/
}

# per_operation NAME MODE OPERATIONS-PER-ROUND CONFIG...
# Two lengths of the same run: what starting and ending cost cancels out.
per_operation() {
	name=$1 mode=$2 per_round=$3
	shift 3
	short=$(exits "$mode" "$few" "$@")
	long=$(exits "$mode" "$many" "$@")
	awk -v n="$name" -v d="$((long - short))" -v ops="$(((many - few) * per_round))" \
		'BEGIN { printf "bench: %s %.2f exits\n", n, d / ops }'
}

per_operation exits_per_context_switch_1_events switch 2 0
per_operation exits_per_context_switch_4_events switch 2 0 1 2 3
per_operation exits_per_context_switch_8_events switch 2 0 1 2 3 4 5 6 7
per_operation exits_per_counter_read read 1 0
