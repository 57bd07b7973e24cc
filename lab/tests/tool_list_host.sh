#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# perf kvm pvpmu list on the host: VMs by name, vCPUs, and the counters that a guest uses while it counts.
. lab/tests/tool-lib.sh

pid=$(guest-pid guest)

expect 0 perf kvm pvpmu list
assert_contains "$work/out" "^VM 'guest' \(pid $pid\): 2 vCPUs" "the guest by name and pid"

# perf in the guest needs a while until it counts. What KVM counts would take no counter.
guest perf stat -a -e instructions,cycles:u -- sleep 20 >"$work/guest" 2>&1 &
perf=$!
for _ in $(seq 100); do
	expect 0 perf kvm pvpmu list -v --vm guest
	grep -q "^ *1 .*cycles:u" "$work/out" && break
	sleep 0.2
done
assert_contains "$work/out" '^ +0 +[0-9]+ +offered +[1-9] of 8 .*instructions' "vCPU 0 counts instructions"
assert_contains "$work/out" '^ +1 +[0-9]+ +offered +[1-9] of 8 .*cycles:u' "vCPU 1 counts cycles:u"
assert_contains "$work/out" '^ +total +vm-exits +[1-9]' "totals"

expect 0 perf kvm pvpmu list -j -p "$pid"
assert_json "$work/out" "[vm['pid'] for vm in d['host']['vms']] == [$pid]" "JSON: one VM"
for id in 0 1; do
	tid=$(cat /sys/kernel/debug/kvm/"$pid"-*/vcpu$id/pid)
	assert_json "$work/out" "d['host']['vms'][0]['vcpus'][$id]['tid'] == $tid" "JSON: thread of vCPU $id"
done
assert_json "$work/out" "d['host']['vms'][0]['vcpus'][0]['totals']['vm-exits'] > 0" "JSON: totals"

expect 1 perf kvm pvpmu list --vm nobody
assert_contains "$work/err" "There is no VM 'nobody'" "an unknown name"
assert_contains "$work/err" "guest \(pid $pid\)" "an unknown name is told what there is"
expect 1 perf kvm pvpmu list -p 1
assert_contains "$work/err" "Process 1 has no VM" "a process without a VM"

# Who must not read debugfs is told so.
expect 1 setpriv --reuid 65534 --clear-groups perf kvm pvpmu list
assert_contains "$work/err" "debugfs cannot be read: run this as root" "an ordinary user"
wait $perf
