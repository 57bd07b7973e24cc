#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A machine without pvpmu, here a guest whose CPU model does not have it: one sentence, what to do, status 1.
. lab/tests/tool-lib.sh

guest-start plain vcpus=1 root=image mem=300 cpu=EPYC
for command in list stat; do
	expect 1 guest -g plain perf kvm pvpmu $command
	assert_contains "$work/err" "^This machine has no pvpmu" "$command says what is missing"
	assert_contains "$work/err" "kvm.pvpmu=1" "$command says what to do on a host"
	assert_contains "$work/err" "CONFIG_KVM_GUEST_PVPMU" "$command says what to do in a guest"
	[ ! -s "$work/out" ] || fail "$command prints something"
done
guest-stop plain
