#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest that is a host itself: its guests get pvpmu from it, and what they do counts for the vCPU that runs them.
. lab/tests/pvpmu-lib.sh

selftest=build/selftests/x86_64/pvpmu_test
# NR_LOOPS of the selftest: the CPUIDs that the guest's guest executes for each event that is counted
loops=1000

guest-stop nested
guest-start nested vcpus=1 append="kvm.pvpmu=1 kvm.pvpmu_host_load=1"
guest -g nested test -c /dev/kvm || skip "this host has no nested virtualization: /dev/kvm is missing in the guest"

# What its KVM counts is exact; what needs this guest's perf core shows as ERROR where that cannot count.
for case in "reset values" "exact counts" "sum of its causes" "wrap and overflow" "perf-backed" "ERROR" "any order"; do
	guest -g nested -t 100 $selftest "$case" >"$work/out" 2>&1 || fail "the selftest in the guest: $(cat "$work/out")"
	grep '^ok' "$work/out"
done

guest -g nested -t 100 perf stat -x, -e $cpuid_event,pvpmu/guest-ns/ -- $selftest "exact counts" \
	>"$work/out" 2>"$work/stat" || fail "$(cat "$work/stat")"
assert_between "$(stat_field $cpuid_event 1)" $loops 1000000 "exits by CPUID with a guest of the guest"
guest -g nested -t 100 perf record -q -e $cpuid_event -c 100 -o /tmp/data -- $selftest "exact counts" \
	>"$work/out" 2>&1 || fail "$(cat "$work/out")"
guest -g nested perf script -i /tmp/data -F ip,sym >"$work/script" 2>/dev/null
assert_contains "$work/script" 'svm|vmx|vcpu' "interrupts go to the guest, where it runs its own"
guest-stop nested
