#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A QEMU that carries pvpmu's registers (contrib/qemu) moves a guest: no count is lost, nor any time.
. lab/tests/migration-lib.sh

qemu=build/qemu/qemu-system-x86_64
[ -x $qemu ] || fail "$qemu is missing: make check-qemu builds it"
move_while_counting qemu=$qemu

assert_eq "$(stat_field $cpuid_event 1)" "$executed" "CPUIDs counted"
for event in $cpuid_event cycles pvpmu/guest-ns/; do
	assert_eq "$(stat_field "$event" 5)" 100.00 "running time of $event in percent"
done

# A VM that has no pvpmu does not take such a guest: it stays where it is, and works on.
guest-stop there
guest-start here vcpus=1 root=image mem=300 qemu=$qemu
guest-start there vcpus=1 root=image mem=300 wait=0 qemu=$qemu cpu=EPYC -- \
	-incoming unix:/run/lab/there/incoming
if guest-qmp here migrate-to there >"$work/out" 2>&1; then
	fail "a VM without pvpmu took a guest that has it"
fi
guest-stop there
guest-qmp here query-status
guest -g here run-cpuid 10 || fail "the guest did not survive a migration that was refused"
guest-stop here
