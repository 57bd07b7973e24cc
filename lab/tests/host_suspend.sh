#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host is suspended while a vCPU counts. Its root, over 9p, does not survive that: whatever reads or closes a file of
# it then waits for good. So all that runs has its files in memory, the shell too.
. lab/tests/lib.sh

program=build/selftests/x86_64/pvpmu_suspend_test
# shellcheck disable=SC2046 # the words are wanted
cp /bin/busybox $program $(ldd $program | grep -o '/[^ ]*') "$work/"
cd "$work"
# KVM's selftest library reads the program as well, for the code of the guest.
exec ./busybox sh -c '
	./ld-linux* --library-path . ./pvpmu_suspend_test || exit
	if ./busybox dmesg | ./busybox grep -E "WARNING:|BUG:|Oops|INFO:"; then
		echo "FAIL: the kernel complained"
		exit 1
	fi'
