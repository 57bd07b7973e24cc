#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Host and guest are recorded at one time, over vsock, into one file that an unmodified perf reads. The guest has a kernel and
# a root of its own.
. lab/tests/lib.sh

base=build/base-perf/perf
[ -x $base ] || fail "$base is missing: make base-perf builds it"

guest-stop own
guest-start own vcpus=1 root=image mem=400 kernel=build/kernel-guest/arch/x86/boot/bzImage
guest -g own "setsid perf kvm agent --listen vsock >/tmp/agent.log 2>&1 </dev/null &
	i=0
	until grep -q listening /tmp/agent.log || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done"

# record CLOCK [OPTION...]: the guest works for 3 s meanwhile; what is printed goes to $work/out
record() {
	clock=$1
	shift
	perf kvm record --guest="own,clock=$clock" "$@" -o "$work/data" -e cpu-clock --guest-event=pvpmu/guest-ns/ -F 200 -g -- \
		guest -g own -t 60 call-chain 3 >"$work/out" 2>&1 ||
		fail "perf kvm record, clock=$clock: $(cat "$work/out" && guest -g own cat /tmp/agent.log)"
	cat "$work/out"
}

# assert_merged: in the file are the host's samples, and the guest's of call-chain with its callers, on the VM's vCPU
assert_merged() {
	$base script -i "$work/data" -F comm,pid,machine_pid,vcpu,event,ip >"$work/script" 2>"$work/err" ||
		fail "unmodified perf script: $(cat "$work/err")"
	assert_contains "$work/script" '^[^:]* *cpu-clock:' "samples of the host"
	mine=$(grep -cE "^VM: *$(guest-pid own) VCPU:000 call-chain .*guest-ns" "$work/script" || :)
	assert_between "$mine" 50 1000 "samples of the guest's program"
	assert_eq "$(awk -v RS= '/ call-chain / && NF > 6 { found = 1 } END { print found + 0 }' "$work/script")" 1 \
		"their callchains"
	$base report -i "$work/data" --stdio >"$work/report" 2>&1 || fail "unmodified perf report: $(tail -n 3 "$work/report")"
	assert_contains "$work/report" 'guest-ns/@own' "unmodified perf report has the guest's event"
}

# verified: how many thousandths of a percent of the guest's samples lie in guest mode of their vCPU, by the host's trace
verified() {
	sed -n 's/^verify: .*(\([0-9]*\)\.\([0-9]\{3\}\) %).*/\1\2/p' "$work/out"
}

record pv --verify
assert_merged
assert_eq "$(verified)" 100000 "thousandths of a percent of the samples in guest mode, by pv"
assert_contains "$work/out" 'pv, off by at most 2 ns' "host and guest have one clock"

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
assert_contains "$work/header" "$(guest-pid own) own .* probe" "the header has the guest"
guest-stop own
