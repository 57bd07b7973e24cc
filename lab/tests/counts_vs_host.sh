#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The guest's counts of its one vCPU against what the host's kvm_vcpu PMU counts for the same vCPU.
. lab/tests/pvpmu-lib.sh

vcpu=$(cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pid)

# both EVENTS COMMAND...: counts of the guest in $work/stat, of the host in $work/host
both() {
	names=$1
	shift
	perf stat -x, -o "$work/host" -e "$(echo "$names" | sed 's|[^,]*|kvm_vcpu/&/|g')" -t "$vcpu" -- \
		guest -t 400 perf stat -x, -a -e "$(echo "$names" | sed 's|[^,]*|pvpmu/&/|g')" -- "$@" \
		>"$work/out" 2>"$work/stat" || fail "$(cat "$work/stat")"
}

host_field() {
	stat_value "$work/host" "kvm_vcpu/$1/"
}

# Both sides see the same 10000 CPUIDs; what perf itself does around them is the same in both runs, but for a few.
both vm-exits-cpuid run-cpuid 0
guest_none=$(stat_field pvpmu/vm-exits-cpuid/ 1)
host_none=$(host_field vm-exits-cpuid)
both vm-exits-cpuid run-cpuid 10000
assert_between $(($(stat_field pvpmu/vm-exits-cpuid/ 1) - guest_none)) 10000 10050 "CPUIDs that the guest counts"
assert_between $(($(host_field vm-exits-cpuid) - host_none)) 10000 10050 "CPUIDs that the host counts"

# The host's span includes the guest's, and perf's start and end in the guest: the difference of two loads is without them.
# load SECONDS
load() {
	both vm-exits,guest-ns sh -c "timeout $1 sh -c 'while :; do :; done' || true"
	guest_ns=$(stat_field pvpmu/guest-ns/ 1)
	host_ns=$(host_field guest-ns)
	guest_exits=$(stat_field pvpmu/vm-exits/ 1)
	host_exits=$(host_field vm-exits)
}
load 2
guest_short=$guest_ns host_short=$host_ns guest_few=$guest_exits host_few=$host_exits
load 17
assert_between "$(percent $((guest_ns - guest_short)) $((host_ns - host_short)))" 90 110 \
	"the guest's guest-ns in percent of the host's"
assert_between "$(percent $((guest_exits - guest_few)) $((host_exits - host_few)))" 80 120 \
	"the guest's vm-exits in percent of the host's"
