#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Each value of perf_pv_clock=: what the guest says, whether its clock is the host's, and what a reading costs in exits.
. lab/tests/tool-lib.sh
. lab/tests/clock-lib.sh

# Records that are stamped, and how many accesses there may be beside: a context switch of the task that perf-now is
# reads the clock, and each vCPU's watch does once per second.
readings=2000
other_readings=100
seconds_to_notice=5	# the next reading does

# boot WORD: a guest with perf_pv_clock=WORD, or without a word
boot() {
	start_clock_guest vcpus=2 append="${1:+perf_pv_clock=$1}"
	in_guest dmesg >"$work/dmesg"
}

# exits_of_readings: accesses of vCPU 0 to the registers while it stamps so many records
exits_of_readings() {
	perf stat -x, -o "$work/stat" -e kvm_vcpu/pvpmu-exits/ -t "$(vcpu_thread 0)" -- \
		guest -g "$place" taskset -c 0 perf-now $readings >"$work/out" 2>&1 || fail "$(cat "$work/out")"
	stat_value "$work/stat" kvm_vcpu/pvpmu-exits/
}

# assert_tool SOURCE OFFERED-SOURCE: what the tool shows in the guest, and of vCPU 0 on the host
assert_tool() {
	in_guest perf kvm pvpmu clock -j >"$work/guest.json"
	assert_json "$work/guest.json" "d['guest']['source'] == '$1'" "the tool in the guest says $1"
	in_guest perf kvm pvpmu clock >"$work/out"
	assert_contains "$work/out" "^perf clock of this guest: $1\$" "as text, too"
	perf kvm pvpmu clock -j --vm "$place" >"$work/host.json"
	assert_json "$work/host.json" "d['host']['vms'][0]['vcpus'][0]['source'] == '$2'" "the tool on the host says $2"
}

# count_time_conv: how many such records perf record stores
count_time_conv() {
	in_guest "perf record -q -o /tmp/data -e page-faults -c 1 -- true &&
		perf report -D -i /tmp/data 2>/dev/null" >"$work/dump" || fail "perf record in the guest"
	grep -c PERF_RECORD_TIME_CONV "$work/dump" || :
}

boot msr
assert_eq "$(source_line)" "msr: the host's" "kernel.perf_pv_clock"
assert_contains "$work/dmesg" "perf_pv_clock: perf uses the host's clock, by msr" "so says the guest's kernel"
assert_aligned "by register"
assert_tool msr msr
assert_json "$work/guest.json" "d['guest']['read_exits'] == 1" "one exit per reading, says the tool"
exits=$(exits_of_readings)
assert_between "$exits" $readings $((readings + other_readings)) "exits for $readings stamped records by register"
status=0
in_guest perf-now -u >"$work/out" || status=$?
assert_eq $status 3 "perf-now's status where user space cannot read the clock"
start_reading
forget_registration 1
wait_for_source "msr: the host's, registered again after it was lost" $seconds_to_notice
assert_no_step_back "when the host forgot vCPU 1"
assert_aligned "by register again"

boot off
assert_eq "$(source_line)" "off: the boot parameter says so" "kernel.perf_pv_clock"
assert_eq "$(in_guest cat /proc/sys/kernel/perf_pv_clock_host)" "" "kernel.perf_pv_clock_host"
before=$(perf-now)
now=$(in_guest perf-now)
after=$(perf-now)
[ "$now" -lt "$before" ] || fail "the guest's clock $now is not its own: the host's is from $before to $after"
echo "ok: with its own clock the guest is $((before - now)) to $((after - now)) ns behind the host"
assert_eq "$(count_time_conv)" 0 "TIME_CONV records of the guest's own clock"
assert_tool off none
assert_eq "$(exits_of_readings)" 0 "exits for $readings stamped records of the guest's own clock"

# A typing mistake is told of, and is as no word.
boot sideways
assert_eq "$(source_line)" "page: the host's" "kernel.perf_pv_clock"
assert_contains "$work/dmesg" "perf_pv_clock=sideways is none of auto, page, msr, off" "the guest's kernel tells of the word"
assert_aligned "by page"
assert_tool page page
assert_eq "$(count_time_conv)" 1 "TIME_CONV records of the host's clock"
exits=$(exits_of_readings)
assert_between "$exits" 0 $other_readings "exits for $readings stamped records by page"
guest-stop "$place"
