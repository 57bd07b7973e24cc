#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host is suspended while a vCPU counts, and while one reads the perf clock. Its root, over 9p, does not survive that:
# whatever looks for, reads or closes a file of it then waits for good. So all goes on in a root in memory, the shell too.
. lab/tests/lib.sh

for program in pvpmu_suspend_test perf_clock_suspend_test; do
	path=build/selftests/x86_64/$program
	# shellcheck disable=SC2046 # the words are wanted
	cp $path $(ldd $path | grep -o '/[^ ]*') "$work/"
done
cp /bin/busybox "$work/"
cd "$work"
trap - EXIT	# it must not reach what is mounted here
for dir in proc sys dev; do
	mkdir $dir
	mount --rbind /$dir $dir
done
# KVM's selftest library reads the program as well, for the code of the guest.
# shellcheck disable=SC2016 # the other shell expands it
exec chroot . /busybox sh -c '
	for program in pvpmu_suspend_test perf_clock_suspend_test; do
		/ld-linux* --library-path / /$program >/out 2>&1
		status=$?
		/busybox cat /out
		[ $status = 0 ] || exit $status
		if ! /busybox grep -q "suspend: deep" /out; then
			echo "FAIL: the host was not suspended to memory"
			exit 1
		fi
	done
	if /busybox dmesg | /busybox grep -E "WARNING:|BUG:|Oops|INFO:"; then
		echo "FAIL: the kernel complained"
		exit 1
	fi'
