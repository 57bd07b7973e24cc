#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# perf stat in the guest: generic, cache and PV events, their names, groups, filters, and what is not supported.
. lab/tests/pvpmu-lib.sh

load="dd if=/dev/zero of=/dev/null bs=64k count=4000"

# not_supported EVENT
not_supported() {
	guest_stat "$1" -- true
	assert_contains "$work/stat" '^<not supported>' "$1 is <not supported>"
}

# Exact: each CPUID that the task executes is one exit.
assert_eq "$(cpuids_counted "" 1000)" 1000 "vm-exits-cpuid of 1000 CPUIDs"

# Both counters of a pair run for the same time, so the ratio of the rates shows.
# shellcheck disable=SC2086 # the load is words
guest_stat cycles,instructions,pvpmu/vm-exits/,pvpmu/guest-ns/ -- $load
assert_ratio cycles instructions $cycles_per_instruction 3
[ "$(stat_field pvpmu/vm-exits/ 1)" -gt 0 ] || fail "no exits"
# The synthetic PMU has one cycle for each ns of guest time, for which it takes a little less than KVM at each VM entry.
assert_between "$(percent "$(stat_field cycles 1)" "$(stat_field pvpmu/guest-ns/ 1)")" 80 105 \
	"cycles in percent of guest-ns"

# shellcheck disable=SC2086
guest_stat '{cycles:u,cycles:k}' -- $load
assert_ratio cycles:u cycles:k $user_per_kernel 3

# Names: generic, of the PMU's directory, of caches, and raw numbers.
names="cpu/cpu-cycles/ pvpmu/cycles/ L1-dcache-loads pvpmu/cache-l1d-read/ r300 vm-exits"
guest_stat "$(echo "$names" | tr ' ' ,)" -- true
for event in $names; do
	[ "$(stat_field "$event" 1)" -gt 0 ] || fail "$event counts nothing"
done
echo "ok: names"
guest perf list >"$work/list" 2>&1
assert_contains "$work/list" 'pvpmu/vm-exits/' "perf list shows pvpmu/vm-exits/"
assert_contains "$work/list" 'pvpmu/guest-ns/' "perf list shows pvpmu/guest-ns/"

# Not offered; not countable on this host; not a number; not filterable; a group that is too large.
not_supported LLC-loads
not_supported cache-misses
not_supported L1-dcache-prefetches
not_supported r4ff
not_supported pvpmu/vm-exits/u
guest_stat '{cycles,cycles,cycles,cycles,cycles,cycles,cycles,cycles,cycles}' -- true
assert_contains "$work/stat" '^<not supported>' "a group of 9 on 8 counters is <not supported>"

# What KVM counts needs no counter: a group of as many as one likes.
group=pvpmu/vm-exits-io/
for event in mmio msr cpuid hlt page-fault exception pause hypercall; do
	group=$group,pvpmu/vm-exits-$event/
done
guest_stat "{$group}" -- true
! grep -q '^<not' "$work/stat" || fail "a group of 9 PV events does not count: $(cat "$work/stat")"

# Who may not see the kernel is told so. (busybox has a setpriv of its own, which cannot change the user.)
if guest /usr/bin/setpriv --reuid 65534 --clear-groups perf stat -e pvpmu/vm-exits/ true >"$work/out" 2>&1; then
	fail "an ordinary user counts exits: $(cat "$work/out")"
fi
assert_contains "$work/out" perf_event_paranoid "an ordinary user is told of perf_event_paranoid"
