#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# How well a guest's samples are aligned with the host's by each method: the bound that is promised, and the share of samples
# that the host's trace has in guest mode of their vCPU.
. lab/tests/lib.sh

seconds=5

guest-need guest vcpus=1 root=image
guest-agent guest >&2

# measure CLOCK: prints its two lines
measure() {
	perf kvm record --guest="guest,clock=$1" --no-guest-symbols --verify -o "$work/data" \
		-e cpu-clock --guest-event=pvpmu/guest-ns/ -F 200 -- guest call-chain $seconds >"$work/out" 2>&1 ||
		fail "perf kvm record, clock=$1: $(cat "$work/out")"
	cat "$work/out" >&2
	sed -n "s/^verify: .*(\([0-9.]*\) %).*/bench: causality_$1_percent \1 %/p
		s/^  guest .* $1, off by at most \([0-9]*\) ns.*/bench: align_bound_ns_$1 \1 ns/p" "$work/out" >"$work/lines"
	[ "$(wc -l <"$work/lines")" = 2 ] || fail "perf kvm record does not say how $1 did: $(cat "$work/out")"
	cat "$work/lines"
}

for clock in pv tsc probe; do
	measure $clock
done
