#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# perf kvm pvpmu list in a guest: what the PMU's sysfs says, as text and as JSON.
. lab/tests/tool-lib.sh

caps=/sys/bus/event_source/devices/pvpmu/caps

expect 0 guest perf kvm pvpmu list
assert_contains "$work/out" "version 1, $(guest cat $caps/counters) counters of 48 bits" "model"
assert_contains "$work/out" '^ +vm-exits +pv +available$' "vm-exits is available"
assert_contains "$work/out" '^ +cycles +hw +available$' "cycles is available"
assert_contains "$work/out" '^ +cache-ll-read +cache +not offered$' "cache-ll-read is not offered"
assert_contains "$work/out" '^ +cache-l1d-prefetch +cache +offered, but this host cannot' \
	"what the synthetic PMU lacks is offered only"

expect 0 guest perf kvm pvpmu list -j
assert_json "$work/out" "'host' not in d and d['guest']['counters'] == $(guest cat $caps/counters)" "JSON: model"
assert_json "$work/out" "d['guest']['events_pv'] == '$(guest cat $caps/events_pv)'" "JSON: mask"
assert_json "$work/out" "len(d['guest']['events']) == 76" "JSON: all events"
assert_json "$work/out" \
	"{e['event'] for e in d['guest']['events'] if e['state'] == 'available'} == set('''$(
		guest ls /sys/bus/event_source/devices/pvpmu/events | grep -v '\.'
	)'''.split())" "JSON: what is available is what sysfs has"
