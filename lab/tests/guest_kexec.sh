#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Reboot, kexec and a crash kernel, each from a guest that counts on two vCPUs: the pages are given up, the next kernel counts.
. lab/tests/lifecycle-lib.sh

kernel=build/kernel/arch/x86/boot/bzImage
guest-stop life
guest-start life vcpus=2 append="crashkernel=128M" -- -action reboot=reset

# next_kernel WHAT COMMAND: leaves the pages of before in $page0 and $page1
next_kernel() {
	count_in_background life
	page0=$(page_of life 0)
	page1=$(page_of life 1)
	assert_written life "$page0"
	boot=$(guest -g life cat /proc/sys/kernel/random/boot_id)
	guest -g life "(sleep 1; $2) >$LAB_OUT/life.out 2>&1 &"
	sleep 2
	[ ! -s "$LAB_OUT/life.out" ] || fail "$1: $(cat "$LAB_OUT/life.out")"
	wait_for_other_boot life "$boot"
	assert_written life "$(page_of life 0)"
	echo "ok: the kernel after $1 has a page in use"
}

words=$(guest -g life cat /proc/cmdline)
next_kernel "a reboot" "reboot -f"
[ "$page1" -gt 0 ] || fail "the second vCPU had no counter page"

# The next kernel leaves the second vCPU alone: what the first gave it must be gone.
next_kernel "kexec" "kexec-boot now $kernel '$words maxcpus=1'"
assert_eq "$(page_of life 1)" 0 "the second vCPU's page after kexec"
assert_eq "$(($(register life 1 ctrl)))" 0 "its GLOBAL_CTRL"

# A crash kernel lives in memory of its own: that of the crashed one must stand still.
guest -g life kexec-boot crash $kernel "$words maxcpus=1"
next_kernel "a crash" "echo c >/proc/sysrq-trigger"
assert_given_up life "$page0" "after a crash"
guest-stop life
