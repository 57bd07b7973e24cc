#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# How many exits the guest's PMU driver costs per context switch and per read, as the host counts them.
. lab/tests/lib.sh

few=100 many=600

guest-need guest vcpus=1 root=image
vcpu=$(cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pid)
pvpmu=$(guest cat /sys/bus/event_source/devices/pvpmu/type)

# The numbers of events: the class is in bits 8 to 11, see the specification.
guest_ns=0x300 vm_exits_cpuid=0x305

# The perf events that the host has created for the vCPU's counters.
creates() {
	cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/pvpmu_event_creates
}

# load MODE ROUNDS CONFIG...: prints pvpmu's exits on the vCPU while the guest carries the load, and its operations
load() {
	mode=$1 rounds=$2
	shift 2
	perf stat -x, -o "$work/stat" -e kvm_vcpu/pvpmu-exits/ -t "$vcpu" -- \
		guest pmu-load "$mode" "$rounds" "$pvpmu" "$@" >"$work/operations"
	echo "$(stat_value "$work/stat" kvm_vcpu/pvpmu-exits/)" "$(sed -n 's/^operations //p' "$work/operations")"
}

# per_operation NAME MODE CONFIG...
# Two lengths of the same run: what starting and ending cost cancels out. The
# guest's context switches are those that it counts: idle and kernel threads
# take part.
per_operation() {
	name=$1 mode=$2
	shift 2
	{
		load "$mode" "$few" "$@"
		load "$mode" "$many" "$@"
	} | awk -v name="$name" '
		{ exits = $1 - exits; operations = $2 - operations }
		END { if (operations > 0) printf "bench: %s %.2f exits\n", name, exits / operations; else exit 1 }'
}

per_operation exits_per_context_switch_1_events switch 0
per_operation exits_per_context_switch_4_events switch 0 1 2 3
per_operation exits_per_context_switch_8_events switch 0 1 2 3 4 5 6 7
per_operation exits_per_context_switch_pv switch 0x300 0x301 0x302 0x303
per_operation exits_per_counter_read read 0
per_operation exits_per_counter_read_pv read $guest_ns
per_operation exits_per_group_read_8 group-read 0 1 2 3 4 5 6 7
# How often an NMI's end exits too is chance: more of them.
many=3000
per_operation exits_per_sample_pv sample $vm_exits_cpuid 2
per_operation exits_per_sample_hw sample 0 1000000
many=600

# Two tasks with different events: what one leaves must serve the other's return.
before=$(creates)
switches=$(load switch "$many" 0 1 2 3 | cut -d' ' -f2)
echo "bench: perf_event_creates_per_1000_switches" \
	"$(awk -v n="$(($(creates) - before))" -v s="$switches" 'BEGIN { printf "%.1f", 1000 * n / s }') events"
