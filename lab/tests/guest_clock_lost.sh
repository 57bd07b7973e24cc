#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host has to give up its TSC while guests read their perf clock by it: their pages say so, and the guests go on by
# their own clocks without a step back. A guest that asks by exit goes on with the host's.
. lab/tests/clock-lib.sh

seconds_to_notice=10	# the watch looks once per second
lost="the host's clock became unusable, going on with local_clock()"

# perf samples on both vCPUs from before until after it.
start_clock_guest vcpus=2
assert_eq "$(source_line)" "page: the host's" "kernel.perf_pv_clock"
in_guest "rm -f /tmp/stop; (perf record -q -o /tmp/data -e cpu-clock -c 5000000 -a -- \
		sh -c 'touch /tmp/ready; until [ -e /tmp/stop ]; do :; done'; touch /tmp/done) >/tmp/log 2>&1 </dev/null &
	i=0; until [ -e /tmp/ready ] || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done; [ -e /tmp/ready ]" ||
	fail "perf record in the guest: $(in_guest cat /tmp/log)"

place=byexit
start_clock_guest vcpus=1 append=perf_pv_clock=msr
assert_aligned "by exit, before"

insmod build/lab/modules/unstable_tsc.ko
place=clock
wait_for_source "off: $lost" $seconds_to_notice
in_guest "touch /tmp/stop; i=0; until [ -e /tmp/done ] || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done; [ -e /tmp/done ]" ||
	fail "perf record did not end: $(in_guest cat /tmp/log)"
# Each CPU's samples are in order in the file; those of two CPUs come in turn, many at once.
in_guest "perf report -D --disable-order -i /tmp/data 2>/dev/null" |
	sed -n 's/^\([0-9]*\) \([0-9]*\) 0x[0-9a-f]* \[0x[0-9a-f]*\]: PERF_RECORD_SAMPLE.*/\1 \2/p' >"$work/times"
for cpu in 0 1; do
	awk -v cpu=$cpu '$1 == cpu { print $2 }' "$work/times" >"$work/of-cpu"
	[ "$(wc -l <"$work/of-cpu")" -gt 100 ] || fail "few samples of CPU $cpu: $(head -n 3 "$work/times")"
	sort -n "$work/of-cpu" | cmp - "$work/of-cpu" || fail "the times of CPU $cpu's samples step back"
	echo "ok: the times of $(wc -l <"$work/of-cpu") samples of CPU $cpu are in order"
done
assert_eq "$(in_guest cat /proc/sys/kernel/perf_pv_clock_host)" "" "kernel.perf_pv_clock_host"
perf kvm pvpmu clock --vm clock >"$work/out"
assert_contains "$work/out" '^ +0 .* none +no ' "the host's view: the guest asks for nothing, and there would be no page"

place=byexit
assert_aligned "by exit, after"
guest-stop clock
guest-stop byexit
