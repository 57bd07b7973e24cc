#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest as it comes: perf's clock is the host's on every vCPU, perf and user space tell so, and it stays so when a vCPU
# goes and comes, and when the host forgets who registered.
. lab/tests/tool-lib.sh
. lab/tests/clock-lib.sh

seconds_to_notice=5		# the watch looks once per second
online=/sys/devices/system/cpu/cpu1/online

start_clock_guest vcpus=2
assert_eq "$(source_line)" "page: the host's" "kernel.perf_pv_clock"
assert_eq "$(relation 3)" 0 "offset of a guest that has not moved"
assert_aligned "after boot"
assert_user_time "after boot"

# What perf stores: how user space converts the TSC, and how the clock relates to the host's.
in_guest perf record -q -o /tmp/data -e page-faults -c 1 -- true
in_guest "perf report -D -i /tmp/data 2>/dev/null" >"$work/dump"
assert_contains "$work/dump" 'PERF_RECORD_TIME_CONV' "perf record stores a TIME_CONV"
in_guest "perf report --header-only -i /tmp/data" >"$work/header" 2>&1
header="perf clock : page of a KVM host, host epoch $(relation 1), generation $(relation 2)"
assert_eq "$(sed -n 's/^# \(perf clock .*\)/\1/p' "$work/header")" "$header, host's clock = time + 0 ns" "perf.data's header"

# A clock that the user names is that clock: since the guest's boot, which was after the host's.
centiseconds() {
	in_guest cat /proc/uptime | awk '{ printf "%.0f\n", $1 * 100 }'
}
before=$(centiseconds)
in_guest perf record -q -o /tmp/monotonic -k CLOCK_MONOTONIC -e page-faults -c 1 -- true
after=$(centiseconds)
sample_times /tmp/monotonic >"$work/times"
assert_between "$(($(head -n 1 "$work/times") / 10000000))" "$before" "$after" "first time of -k CLOCK_MONOTONIC in 1/100 s"
assert_between "$(($(tail -n 1 "$work/times") / 10000000))" "$before" "$after" "last time of -k CLOCK_MONOTONIC in 1/100 s"
[ $(($(perf-now) / 10000000)) -gt "$after" ] || fail "the host's clock cannot be told from the guest's CLOCK_MONOTONIC"

# assert_tool_agrees WHEN: guest and host show the same relation
assert_tool_agrees() {
	in_guest perf kvm pvpmu clock -j >"$work/guest.json"
	perf kvm pvpmu clock -j --vm "$place" >"$work/host.json"
	/usr/bin/python3 - "$work/guest.json" "$work/host.json" <<-'END' || fail "perf kvm pvpmu clock, $1: $(cat "$work/guest.json" "$work/host.json")"
		import json, sys
		guest, host = (json.load(open(name)) for name in sys.argv[1:])
		guest, (vm,) = guest["guest"], host["host"]["vms"]
		same = [vm["host_epoch"] == guest["host_epoch"], len(vm["vcpus"]) == 2]
		for vcpu in vm["vcpus"]:
		    same += [vcpu[key] == guest[key] for key in ("source", "generation", "offset")]
		    same += [vcpu["valid"] is True]
		sys.exit(not all(same))
	END
	echo "ok: perf kvm pvpmu clock is the same in guest and host $1"
}
assert_tool_agrees "after boot"
in_guest perf kvm pvpmu clock >"$work/out"
cat "$work/out"
assert_contains "$work/out" "host epoch +$(relation 1)\$" "the epoch as text in the guest"
assert_contains "$work/out" "generation +$(relation 2)\$" "the generation as text in the guest"
assert_contains "$work/out" "offset +$(relation 3) ns" "the offset as text in the guest"
perf kvm pvpmu clock --vm "$place" >"$work/out"
cat "$work/out"
assert_contains "$work/out" "VM '$place'.*host epoch $(relation 1)\$" "the epoch as text on the host"
assert_contains "$work/out" "^ +1 .* page +yes +$(relation 2) +$(relation 3) " "vCPU 1 as text on the host"

assert_json "$work/host.json" "d['host']['vms'][0]['measured'] is None" "nothing is measured without an agent"

# With an agent in the guest the host does not have to believe it.
guest-agent "$place"
perf kvm pvpmu clock --vm "$place" >"$work/out"
cat "$work/out"
assert_contains "$work/out" "measured: the guest's clock is the host's, -?[0-9]+ ns apart in a round trip that proves [0-9]+ ns\$" \
	"the host measures the guest's clock"
perf kvm pvpmu clock -j --vm "$place" >"$work/host.json"
cat "$work/host.json"
measured="d['host']['vms'][0]['measured']"
assert_json "$work/host.json" "${measured}['agrees'] and abs(${measured}['apart_ns']) <= ${measured}['bound_ns'] < 1e9" \
	"the measure as JSON"

in_guest "echo 0 >$online"
assert_aligned "while vCPU 1 is gone"
in_guest "echo 1 >$online"
assert_aligned "after vCPU 1 came back"
assert_tool_agrees "after vCPU 1 came back"

start_reading
forget_registration 0
wait_for_source "page: the host's, registered again after it was lost" $seconds_to_notice
assert_no_step_back "when the host forgot vCPU 0"
in_guest dmesg >"$work/dmesg"
assert_contains "$work/dmesg" 'perf_pv_clock: .*registered again after it was lost' "the guest's kernel says that it registered again"
assert_aligned "after it was registered again"
assert_user_time "after it was registered again"
guest-stop "$place"
