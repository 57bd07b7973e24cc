#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host profiles the guest while the guest profiles itself: both get what they would get alone.
. lab/tests/pvpmu-lib.sh

rate=100 seconds=4

# spin_with COMMAND...: starts the guest's load by that command, and waits until it runs
spin_with() {
	guest rm -f /tmp/spins
	guest "$* sh -c 'touch /tmp/spins; exec timeout $((seconds * 3)) sh -c \"while :; do :; done\"' >/dev/null 2>&1 &
		until [ -e /tmp/spins ]; do sleep 0.2; done"
}

vcpu=$(cat /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pid)

# The cycles that the host samples in the guest, for a few seconds, in percent of the vCPU's time in guest mode: of
# those the synthetic PMU has one for each ns. perf takes a part of that time to start and to end.
host_profile() {
	perf stat -x, -o "$work/stat" -e kvm_vcpu/guest-ns/ -t "$vcpu" -- \
		perf kvm --guest record -q -a -e cycles -F $rate -o "$work/data" -- sleep $seconds >"$work/out" 2>&1 ||
		fail "perf kvm record on the host: $(cat "$work/out")"
	# perf script shows samples of a guest only where it knows the guest's kernel.
	cycles=$(perf report -D -i "$work/data" 2>/dev/null |
		sed -n 's/.*PERF_RECORD_SAMPLE(IP, 0x[45]).* period: \([0-9]*\).*/\1/p' | sum)
	percent "$cycles" "$(stat_value "$work/stat" kvm_vcpu/guest-ns/)"
}

sum() {
	awk '{ n += $1 } END { printf "%d\n", n }'
}

spin_with
alone=$(host_profile)
guest "while pgrep timeout >/dev/null; do sleep 0.2; done"

spin_with perf record -q -o /tmp/perf.data -e pvpmu/guest-ns/ -F $rate --
together=$(host_profile)
guest "while pgrep perf >/dev/null; do sleep 0.2; done"
assert_between "$alone" 50 115 "cycles that the host sampled in the guest, in percent of guest-ns"
assert_between "$together" $((alone - 15)) $((alone + 15)) "the same while the guest profiles itself"

guest perf script -i /tmp/perf.data -F period >"$work/guest" 2>/dev/null
samples=$(wc -l <"$work/guest")
assert_between "$samples" $((rate * seconds)) $((rate * seconds * 4)) "the guest's samples"
# The guest's load lasts three times as long as the host looks; the host's own work takes a part of it.
assert_between "$(($(sum <"$work/guest") / 1000000))" $((seconds * 3 * 250)) $((seconds * 3 * 1050)) \
	"ms of guest-ns in the guest's samples"
