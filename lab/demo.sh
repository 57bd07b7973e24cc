#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Shows, from a host VM and the guest inside it, what pvperf adds; runs in the host VM.

set -eu

say() {
	printf '\n== %s\n' "$*"
}

say "the host VM: $(uname -r), up for $(cut -d' ' -f1 /proc/uptime) s"
guest-start guest vcpus=2
say "the guest VM: $(guest uname -r), up for $(guest cut -d' ' -f1 /proc/uptime) s"

say "guest: perf stat"
guest perf stat -e task-clock,context-switches,page-faults sh -c 'gzip -c /usr/bin/perl | wc -c'
