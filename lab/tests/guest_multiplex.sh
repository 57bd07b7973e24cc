#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# More events than counters: in the guest, and on the host under a guest that has counters enough.
. lab/tests/pvpmu-lib.sh

load="dd if=/dev/zero of=/dev/null bs=64k count=8000"

# The guest rotates 12 events over its 8 counters, and the host what it gets of them over its own; each is to get its turn.
events=
for event in cycles instructions branches branch-misses bus-cycles ref-cycles; do
	events=$events${events:+,}$event:u,$event:k
done
# shellcheck disable=SC2086 # the load is words
guest_stat "$events" -- $load
IFS=,
for event in $events; do
	assert_between "$(stat_field "$event" 5 | cut -d. -f1)" 5 75 "running time of $event in percent"
done
unset IFS

# The guest's 8 counters hold these 6, the host's do not: that must show in the guest's running time.
# shellcheck disable=SC2086
guest_stat cycles,instructions,branches,branch-misses,bus-cycles,ref-cycles -- $load
sum=0
for event in cycles instructions branches branch-misses bus-cycles ref-cycles; do
	running=$(stat_field $event 5 | cut -d. -f1)
	assert_between "$running" 20 95 "running time of $event in percent"
	sum=$((sum + running))
done
assert_between $sum $((host_counters * 80)) $((host_counters * 110)) "running time of all 6, in percent of one counter"
assert_ratio cycles instructions $cycles_per_instruction 30

# PV events need no counter of the host.
# shellcheck disable=SC2086
guest_stat cycles,instructions,branches,branch-misses,pvpmu/vm-exits/,pvpmu/guest-ns/ -- $load
for event in cycles instructions branches branch-misses pvpmu/vm-exits/ pvpmu/guest-ns/; do
	assert_between "$(stat_field $event 5 | cut -d. -f1)" 97 100 "running time of $event in percent"
done
