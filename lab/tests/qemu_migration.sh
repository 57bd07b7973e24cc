#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A QEMU that carries the registers of pvpmu and perf_clock (contrib/qemu) moves a guest: no count is lost, nor any
# time, and perf's clock goes on as the host's.
. lab/tests/migration-lib.sh
. lab/tests/clock-lib.sh

qemu=build/qemu/qemu-system-x86_64
[ -x $qemu ] || fail "$qemu is missing: make check-qemu builds it"
start_guest qemu=$qemu
move_while_counting qemu=$qemu

assert_eq "$(stat_field $cpuid_event 1)" "$executed" "CPUIDs counted"
for event in $cpuid_event cycles pvpmu/guest-ns/; do
	assert_eq "$(stat_field "$event" 5)" 100.00 "running time of $event in percent"
done

# The guest need not do anything: the page is written anew, and says that it was.
assert_eq "$(source_line)" "page: the host's" "kernel.perf_pv_clock after a migration"
assert_eq "$(relation 3)" 0 "offset to the clock of the same host"
[ "$(relation 2)" -gt 1 ] || fail "the generation did not change: $(relation 2)"
assert_aligned "after a migration"
assert_user_time "after a migration"

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
