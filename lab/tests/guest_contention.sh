#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host keeps counters for itself: what the guest then cannot count shows as time not run, never as a low number.
. lab/tests/pvpmu-lib.sh

events=cycles,instructions,branches,branch-misses
load='dd if=/dev/zero of=/dev/null bs=64k count=6000'

# guest_counts EVENTS: of the load
guest_counts() {
	# shellcheck disable=SC2086 # the words of a command
	guest_stat "$1" -- $load
}

# keep EVENTS: the host's own, pinned, until let_go
keep() {
	rm -f "$work/go"
	perf stat -x, -o "$work/host" -a -e "$1" -- sh -c "until [ -e $work/go ]; do sleep 0.2; done" &
	holder=$!
	sleep 2
}

let_go() {
	touch "$work/go"
	wait $holder
}

guest_counts "$events"
for event in cycles instructions branches branch-misses; do
	assert_eq "$(stat_field $event 5)" 100.00 "running time of $event in percent, with the host at rest"
done
whole=$(stat_field cycles 1)

# Three of four counters are the host's: the guest's four events take turns on one, and perf scales them.
keep cycles:D,instructions:D,branches:D
guest_counts "$events"
for event in cycles instructions branches; do
	assert_between "$(stat_field $event 5 | cut -d. -f1)" 5 60 "running time of $event in percent, on one counter"
done
assert_between "$(percent "$(stat_field cycles 1)" "$whole")" 60 160 "scaled cycles in percent of those without the host"
let_go
for event in cycles:D instructions:D branches:D; do
	[ "$(stat_value "$work/host" $event)" -gt 0 ] || fail "the host's pinned $event counted nothing"
done

# All four: not counted, rather than zero. What KVM counts needs no counter.
keep cycles:D,instructions:D,branches:D,branch-misses:D
guest_counts cycles,instructions,pvpmu/guest-ns/
for event in cycles instructions; do
	assert_eq "$(stat_field $event 1)" "<not counted>" "$event without a counter"
done
assert_eq "$(stat_field pvpmu/guest-ns/ 5)" 100.00 "running time of guest-ns in percent"

# While it counts, the host lets go: it counts from then on.
(sleep 4; touch "$work/go") &
guest -t 100 perf stat -x, -e cycles -- timeout 8 sh -c 'while :; do :; done' 2>"$work/stat" || true
wait
assert_between "$(stat_field cycles 5 | cut -d. -f1)" 5 95 "running time of cycles in percent, when the host lets go in between"
[ "$(stat_field cycles 1)" -gt 0 ] || fail "nothing was counted after the host had let go"
guest_counts cycles
assert_eq "$(stat_field cycles 5)" 100.00 "running time of cycles in percent, after the host has let go"
