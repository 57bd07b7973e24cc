#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Host and guest run the lab's kernel, and the guest runs under KVM with the CPUs it was given.
. lab/tests/lib.sh

host=$(uname -r)
assert_eq "$(guest uname -r)" "$host" "the guest's kernel"
assert_eq "$(guest nproc)" 2 "the guest's number of CPUs"
assert_eq "$(guest cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" kvm-clock \
	"the guest's clock"
[ -d "/proc/$(guest-pid guest)" ] || fail "guest-pid names no process"
