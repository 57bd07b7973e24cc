# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the benches share that sample at a high rate on this machine: the kernel's limits are put aside, and are as they were
# in the end; the processes in $pids end, too.
. lab/tests/lib.sh

sysctl=/proc/sys/kernel
old_rate=$(cat $sysctl/perf_event_max_sample_rate)
old_percent=$(cat $sysctl/perf_cpu_time_max_percent)
pids=

clean_up() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null || :
	done
	echo "$old_percent" >$sysctl/perf_cpu_time_max_percent || :
	[ "$old_percent" -eq 0 ] || [ "$old_percent" -eq 100 ] ||
		echo "$old_rate" >$sysctl/perf_event_max_sample_rate || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# The kernel lowers the rate by itself when its interrupts take long, as in a VM.
allow_rate() {
	echo 25 >$sysctl/perf_cpu_time_max_percent
	echo 100000 >$sysctl/perf_event_max_sample_rate
	echo 0 >$sysctl/perf_cpu_time_max_percent
}
