#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host VM's synthetic PMU keeps to its rates, tells guest from host, multiplexes, samples, and counts exits exactly.
. lab/tests/pvpmu-lib.sh

# stat EVENTS [OPTION...] -- COMMAND...
stat() {
	events=$1
	shift
	perf stat -x, -o "$work/stat" -e "$events" "$@" >"$work/out" 2>&1 || fail "$(cat "$work/out")"
}

guest_load="guest dd if=/dev/zero of=/dev/null bs=64k count=4000"

stat '{cycles,instructions}' -a -- sleep 1
assert_ratio cycles instructions $cycles_per_instruction 1
# One cycle is one ns of each CPU's time.
assert_between "$(percent "$(stat_field cycles 1)" "$(stat_field cycles 4)")" 97 103 "cycles in percent of the time"

# Without GH, perf excludes the guest from cycles:u alone.
stat '{cycles:uGH,cycles:kGH}' -a -- sleep 1
assert_ratio cycles:uGH cycles:kGH $user_per_kernel 1

# All time is either the guest's or the host's.
# shellcheck disable=SC2086 # the load is words
stat '{cycles:GH,cycles:G,cycles:H}' -a -- $guest_load
both=$(($(stat_field cycles:G 1) + $(stat_field cycles:H 1)))
assert_between "$(percent $both "$(stat_field cycles:GH 1)")" 98 102 "cycles:G and cycles:H in percent of cycles:GH"
[ "$(stat_field cycles:G 1)" -gt 0 ] || fail "no guest time"

stat cycles,instructions,branches,branch-misses,bus-cycles,ref-cycles -a -- sleep 2
for event in cycles bus-cycles ref-cycles; do
	assert_between "$(stat_field $event 5 | cut -d. -f1)" 30 95 "running time of $event in percent"
done

# shellcheck disable=SC2086
stat 'cpu/kvm-exits/,kvm:kvm_exit' -a -- $guest_load
[ "$(stat_field kvm:kvm_exit 1)" -gt 0 ] || fail "no exits"
assert_eq "$(stat_field cpu/kvm-exits/ 1)" "$(stat_field kvm:kvm_exit 1)" "kvm-exits, against the tracepoint"

# 100 samples per second of CPU time, which is at most the time that passed; fewer where the timer comes late.
begin=$(date +%s%N)
perf record -q -o "$work/data" -e cycles -c 10000000 -- timeout 2 sh -c 'while :; do :; done' >"$work/out" 2>&1 || true
samples=$(perf script -i "$work/data" -F time 2>/dev/null | wc -l)
passed=$(($(date +%s%N) - begin))
assert_between "$samples" 100 $((passed / 10000000)) "samples of 2 s at one per 10 ms"
