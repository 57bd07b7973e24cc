#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# KVM as a module: it stays while a guest or an event of kvm_vcpu needs it, goes without a trace, and comes back whole.
. lab/tests/pvpmu-lib.sh

kernel=build/kernel-module
modules=$kernel/arch/x86/kvm
selftests=build/selftests/x86_64
pmu=/sys/bus/event_source/devices/kvm_vcpu
rounds=3

! [ -d /sys/module/kvm ] || skip "this kernel has KVM built in: make check-debug T=module has one with modules"
vendor=kvm-amd
! grep -qw vmx /proc/cpuinfo || vendor=kvm-intel

# What KVM itself needs stays.
insmod $kernel/virt/lib/irqbypass.ko

load() {
	insmod $modules/kvm.ko pvpmu=1 pvpmu_host_load=1 || fail "kvm.ko was not loaded"
	insmod $modules/$vendor.ko || fail "$vendor.ko was not loaded"
	[ -d $pmu ] || fail "kvm_vcpu is not there after KVM was loaded"
}

# unload: both modules, each at once
unload() {
	rmmod $vendor && rmmod kvm
}

# assert_needed WHY
assert_needed() {
	! unload 2>"$work/out" || fail "KVM was unloaded $1"
	[ -d /sys/module/kvm ] || fail "kvm.ko was unloaded $1"
	echo "ok: KVM stays $1: $(head -n 1 "$work/out")"
}

for round in $(seq $rounds); do
	load
	$selftests/pvpmu_test >"$work/out" 2>&1 || fail "pvpmu_test: $(cat "$work/out")"
	$selftests/pvpmu_overflow_test >"$work/out" 2>&1 || fail "pvpmu_overflow_test: $(cat "$work/out")"
	unload || fail "KVM is still in use after the selftests"
	for gone in $pmu /sys/module/kvm /sys/kernel/debug/kvm; do
		[ ! -e "$gone" ] || fail "$gone is there after KVM was unloaded"
	done
	! perf stat -e kvm_vcpu/vm-exits/ true 2>/dev/null || fail "kvm_vcpu counts without KVM"
	echo "ok: round $round of $rounds"
done

load
guest-start guest vcpus=1 root=image mem=300
assert_eq "$(cpuids_counted "" 1000)" 1000 "CPUIDs that the guest counts"
guest "perf stat -a -e cycles,$cpuid_event -- sleep 1000 >/dev/null 2>&1 & sleep 1"
assert_needed "while a guest counts"

# The VM dies with live counters, and with an event of its vCPU still open.
vcpu=$(cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pid)
perf stat -x, -o "$work/stat" -e kvm_vcpu/vm-exits/ -t "$vcpu" -- \
	sh -c "guest-stop guest; until [ -e $work/go ]; do sleep 0.1; done" &
holder=$!
until [ ! -d /run/lab/guest ]; do
	sleep 0.1
done
assert_needed "while perf has an event of a vCPU that has gone"
touch "$work/go"
wait $holder
[ "$(stat_value "$work/stat" kvm_vcpu/vm-exits/)" -gt 0 ] || fail "the event of the vCPU has lost its count"
# The vendor's module has gone already: only kvm.ko has what the event needs.
rmmod kvm || fail "KVM is still in use after the last event has gone"
echo "ok: KVM goes with the last event"
