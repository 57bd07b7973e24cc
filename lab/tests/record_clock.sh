#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest's clock while it is recorded: its TSC changes, or it sleeps. By the host's trace its samples are in their place all the
# same; where they cannot be, the clock is not taken.
. lab/tests/record-lib.sh

ticks=$((1 << 31))	# about a second

# record_jump CLOCK: the guest's TSC is moved in the middle
record_jump() {
	begin own,clock="$1" --verify
	guest -g own "sleep 5; move-tsc $ticks"
	sleep 5
}

# assert_placed CLOCK
assert_placed() {
	assert_between "$(verified)" 99900 100000 "thousandths of a percent of the samples in guest mode, by $1"
}

# No paravirtual clock helps: the guest takes its times from the TSC, the frequency of which is its host's.
khz=$(awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo)
start_own reset append="perf_pv_clock=off no-kvmclock tsc=reliable tsc_early_khz=$khz"
guest-agent own
record_jump tsc
end 3 100
assert_contains "$work/out" 'tsc, off by at most .*, in 3 segments' "before, between two probes, and after"
assert_contains "$work/out" "left out: [1-9][0-9]* records of times of which nothing is known" "what lies between them"
assert_placed tsc

# Its perf clock is its host's, whatever its TSC does.
start_own reset
guest-agent own
record_jump pv
end 0 100
assert_contains "$work/out" 'pv, off by at most 2 ns$' "one clock, in one segment"
assert_placed pv
assert_between "$(longest_gap)" 0 900 "no jump of the guest's time, ms without a sample"

record_jump tsc
end 3 0
assert_contains "$work/out" "the guest's TSC changed its offset, which its perf clock does not follow" "tsc is refused"

# Asleep, the guest keeps the session by its virtio port. It is another one, as Linux sets a TSC that was moved back.
start_own reset
guest-agent own virtio:perf.0
begin "unix:$own_port,name=own" --verify
guest -g own "(sleep 1; echo mem >/sys/power/state) >/tmp/suspend 2>&1 &"
until_status own suspended
sleep 3
guest-qmp own system_wakeup
sleep 5
end 0 100
assert_placed pv
assert_between "$(longest_gap)" 3000 30000 "the guest's sleep, ms without a sample"
guest-stop own
