#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A host whose clock is not a function of its TSC offers no page: the guest says so and keeps its own clock, and by
# register it has the host's all the same. Its host VM has tsc=unstable on its command line.
. lab/tests/clock-lib.sh

no_page="the host's clock cannot be read from memory, try perf_pv_clock=msr"

# boot WORD: a guest with perf_pv_clock=WORD; what its kernel says of its clock goes to $work/said
boot() {
	start_clock_guest vcpus=2 append="perf_pv_clock=$1"
	in_guest dmesg | grep 'perf_pv_clock: ' >"$work/said" || :
}

status=0
perf-now -u >"$work/out" || status=$?
assert_eq $status 3 "perf-now -u on a host whose perf cannot use the TSC ends with"

boot auto
assert_eq "$(source_line)" "off: $no_page" "kernel.perf_pv_clock"
assert_eq "$(in_guest cat /proc/sys/kernel/perf_pv_clock_host)" "" "kernel.perf_pv_clock_host"
assert_eq "$(cat "$work/said")" "" "what the guest's kernel says of it unasked"
perf kvm pvpmu clock --vm "$place" >"$work/out"
cat "$work/out"
assert_contains "$work/out" '^ +0 .* none +no ' "the tool on the host shows no valid page, and none in use"

boot page
assert_eq "$(source_line)" "off: $no_page" "kernel.perf_pv_clock"
assert_contains "$work/said" "$no_page" "the guest's kernel warns of the page that was asked for"

boot msr
assert_eq "$(source_line)" "msr: the host's" "kernel.perf_pv_clock"
assert_eq "$(relation 3)" 0 "offset"
assert_aligned "by register"
in_guest perf-now 1000 >"$work/out" || fail "the clock by register: $(cat "$work/out")"
echo "ok: it does not step back in 1000 readings"
guest-stop "$place"
