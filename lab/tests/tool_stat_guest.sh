#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# perf kvm pvpmu stat in a guest: the default events, the derived figures, exact counts, JSON.
. lab/tests/tool-lib.sh

# cpuids COUNT: exits by CPUID of a program that executes it so often
cpuids() {
	expect 0 guest perf kvm pvpmu stat -x, -e vm-exits-cpuid -- run-cpuid "$1"
	stat_value "$work/err" pvpmu/vm-exits-cpuid/
}
none=$(cpuids 0)
assert_eq $(($(cpuids 1000) - none)) 1000 "vm-exits-cpuid of 1000 CPUIDs"
assert_contains "$work/err" ',pvpmu/pvpmu-exits/,' "own exits are shown with -e too"

expect 0 guest perf kvm pvpmu stat -- dd if=/dev/zero of=/dev/null bs=64k count=2000
for event in guest-ns vm-exits pvpmu-exits; do
	assert_contains "$work/err" "^ +[0-9,]+ .*pvpmu/$event/" "$event is counted"
done
for figure in 'exits/s' 'ns of guest time per exit' 'CPUs in guest mode' \
	'% +of all exits, by pvpmu itself' 'insn per cycle'; do
	assert_contains "$work/err" "# +[0-9]+\.[0-9]+ +$figure" "figure: $figure"
done

# Stolen time is there just where the host's administrator allows it.
if [ "$(cat /sys/module/kvm/parameters/pvpmu_host_load)" = Y ]; then
	assert_contains "$work/err" '^ +[0-9,]+ .*pvpmu/steal-ns/' "steal-ns is counted"
	assert_contains "$work/err" '# +[0-9]+\.[0-9]+ +% +of runnable time stolen' "figure: stolen time"
else
	! grep -q steal "$work/err" || fail "steal-ns is shown, and not allowed"
	expect 0 guest perf kvm pvpmu list
	assert_contains "$work/out" '^ +steal-ns +pv +not offered$' "steal-ns is not offered"
fi

expect 0 guest perf kvm pvpmu stat -d -a -j -o /tmp/stat.json -- sleep 0.2
guest cat /tmp/stat.json >"$work/json"
assert_json_lines "$work/json"
assert_contains "$work/json" '"event" : "pvpmu/vm-exits-hlt/"' "-d shows the causes"
assert_contains "$work/json" '"metric-unit" : "%  of exits"' "-d shows the causes' shares"

expect 0 guest perf kvm pvpmu stat --per-vcpu -e vm-exits -- sleep 0.2
assert_contains "$work/err" '^CPU1 .*pvpmu/vm-exits/' "--per-vcpu has a line for CPU 1"

# Any perf stat shows the figures.
expect 0 guest perf stat -e pvpmu/vm-exits/,duration_time -- true
assert_contains "$work/err" '# +[0-9.]+ exits/s' "figures of plain perf stat"

# A command's status is passed on; what is wrong is said.
expect 7 guest perf kvm pvpmu stat -- sh -c 'exit 7'
expect 1 guest perf kvm pvpmu stat --vm guest -- true
assert_contains "$work/err" "not a host with pvpmu" "--vm in a guest"
