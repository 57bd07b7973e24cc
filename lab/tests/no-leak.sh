#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs a command, and fails if it leaves perf events or memory behind on the host.
#
# usage: no-leak.sh COMMAND...
. lab/tests/lib.sh

# What may be more afterwards, in KiB: caches of the kernel that grow with use.
slack=16384

# A CPU's own slab counts as full: give it back first. Events are freed after a grace period of RCU.
events() {
	sleep 2
	echo 1 >/sys/kernel/slab/perf_event/shrink
	awk '$1 == "perf_event" { print $2; found = 1 } END { exit !found }' /proc/slabinfo ||
		fail "no perf_event in /proc/slabinfo: the kernel needs CONFIG_SLUB_DEBUG, and slabs that are not merged"
}

free_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "MemFree:" { print $2 }' /proc/meminfo
}

# The first run fills what is kept for good.
"$1" 100
before_events=$(events)
before=$(free_memory)
"$@"
assert_eq "$(events)" "$before_events" "perf events on the host, before and after"
assert_between "$((before - $(free_memory)))" -1000000 $slack "KiB of memory that are gone"
