#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Host and guest are recorded at one time, over vsock, into one file that an unmodified perf reads. The guest has a kernel and
# a program that its host does not have; their functions have names nonetheless.
. lab/tests/record-lib.sh

# Nothing of it may be known from before.
cache=$work/debug

# record CLOCK [OPTION...]: the guest works for some seconds meanwhile; what is printed goes to $work/out
record() {
	clock=$1
	shift
	rm -rf "$work/data"
	perf --buildid-dir "$cache" kvm record --guest="own,clock=$clock" "$@" -o "$work/data" \
		-e cpu-clock --guest-event=pvpmu/guest-ns/ --join-events=cpu-clock+pvpmu/guest-ns/ -F 200 -g -- \
		guest -g own -t 60 "own-chain $seconds; dd if=/dev/zero of=/dev/null bs=1M count=$kernel_mb 2>/dev/null" >"$work/out" 2>&1 ||
		fail "perf kvm record, clock=$clock: $(cat "$work/out" && guest -g own cat /tmp/agent.log)"
	cat "$work/out"
}

# assert_merged: in the file are the host's samples, and the guest's of its program with its callers, on the VM's vCPU
assert_merged() {
	assert_between "$(samples_of own-chain)" 50 1000 "samples of the guest's program"
	assert_contains "$work/script" '^[^:]* *cpu-clock:' "samples of the host"
	assert_eq "$(awk -v RS= '/ own-chain / && NF > 6 { found = 1 } END { print found + 0 }' "$work/script")" 1 \
		"their callchains"
	$base report -i "$work/data" --stdio >"$work/report" 2>&1 || fail "unmodified perf report: $(tail -n 3 "$work/report")"
	assert_eq "$(grep -cE '^# Samples: .* of event .(cpu-clock|pvpmu)' "$work/report")" 1 "lists of host's and guest's time"
	assert_contains "$work/report" 'own-chain' "the guest's program is in it"
	assert_contains "$work/report" 'kvm_arch_vcpu_ioctl_run' "so is the host's KVM"
}

# report PERF: functions and their callers, to $work/report
report() {
	"$1" --buildid-dir "$cache" report -i "$work/data" --stdio --no-children -g caller -F overhead,sample,comm,dso,sym \
		>"$work/report" 2>&1 || fail "$1 report: $(tail -n 3 "$work/report")"
}

# assert_named: what runs in the guest has the guest's names, without an option that says where they are
assert_named() {
	[ ! -e "$(command -v own-chain)" ] || fail "the host has own-chain"
	cmp "build/kernel/vmlinux" "build/kernel-guest/vmlinux" >/dev/null && fail "the guest has the host's kernel"
	guest -g own cat /proc/kallsyms >"$work/kallsyms"
	cmp "$work/kallsyms" "$work/data/kcore_dir__$own_pid/kallsyms" || fail "the guest's symbols are not those that it has"
	for perf in $base perf; do
		report "$perf"
		assert_contains "$work/report" "own-chain .*own-chain .*\[[.gu]\] own_inner" "$perf report: the program's function"
		assert_contains "$work/report" "own_outer" "$perf report: its callers"
		assert_contains "$work/report" "dd .*guest.kernel.* read_zero|dd .*guest.kernel.*(rep_stos|clear_user)" \
			"$perf report: the kernel's function"
	done
}

start_own shutdown
guest-agent own
seconds=2 kernel_mb=400

record pv --verify
assert_merged
assert_named
assert_eq "$(verified)" 100000 "thousandths of a percent of the samples in guest mode, by pv"
assert_contains "$work/out" 'pv, off by at most 2 ns' "host and guest have one clock"

kernel_mb=1
record tsc --verify
assert_merged
assert_between "$(verified)" 99900 100000 "thousandths of a percent of the samples in guest mode, by tsc"
assert_contains "$work/out" 'tsc, off by at most' "aligned by the TSC"

# By round trips through an emulated VM it is what it is: printed.
record probe --verify
assert_merged
assert_contains "$work/out" 'probe, off by at most' "aligned by round trips"

# The header tells of the machines.
perf report -i "$work/data" --header-only >"$work/header" 2>/dev/null
assert_contains "$work/header" "$own_pid own .* probe" "the header has the guest"
guest-stop own
