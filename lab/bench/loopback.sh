#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What perf kvm record loses of eight guests that send 10000 samples/s each, for 30 s, and
# how long it takes until a merged sample is there. The guests are agents on this machine,
# each on a Unix socket; all of them sample all CPUs, which are kept busy by programs that
# give way to anything else. It is cpu-clock, as each of its events has a timer: other
# software events of one kernel get each other's ids in the samples, by a bug of Linux 6.x.
. lab/tests/rate-lib.sh

perf=$PWD/build/perf/perf
guests=8
rate=10000
seconds=30
runs=5
cpus=$(nproc)
# What is asked for: some periods are longer, when a timer is late.
freq=$((rate * 104 / 100 / cpus))

allow_rate 2>/dev/null || skip "root is needed to allow $((guests * rate)) samples/s"

busy=
for _ in $(seq "$cpus"); do
	nice -n 19 sh -c 'while :; do :; done' &
	busy="$busy $!"
done
pids=$busy

options=
for i in $(seq $guests); do
	"$perf" kvm agent --listen "unix:$work/s$i" 2>"$work/log$i" &
	pids="$pids $!"
	options="$options --guest=unix:$work/s$i,name=g$i"
done
for i in $(seq $guests); do
	for _ in $(seq 100); do
		[ ! -e "$work/s$i" ] || break
		sleep 0.1
	done
done

# shellcheck disable=SC2086
"$perf" kvm record -o "$work/data" -e dummy -F $freq --guest-event=cpu-clock --no-guest-symbols \
	$options -- sleep $seconds >"$work/out" 2>&1 || fail "$(cat "$work/out")"
# between the first sample and the last
took=$("$perf" report -i "$work/data" --header-only 2>/dev/null |
	awk '/sample duration/ { print $5 / 1000 }')
# NAME (pid N) RECORDS SAMPLES LOST BYTES CLOCK
awk -v took="$took" '
	$1 ~ /^g[0-9]+$/ && $2 == "(pid" {
		nr++
		lost += $6
		if (nr == 1 || $5 / took < rate)
			rate = $5 / took
	}
	END { printf "%d %d %.0f\n", nr, lost, rate }' "$work/out" >"$work/result"
read -r nr lost sent <"$work/result"
[ "$nr" -eq $guests ] || fail "$(cat "$work/out")"

for pid in $busy; do
	kill "$pid"
	wait "$pid" 2>/dev/null || :
done
pids=${pids#"$busy"}

# The merge begins when the recording has ended, so the output is there all at once.
for _ in $(seq $runs); do
	rm -rf "$work/data"
	from=$(date +%s%N)
	"$perf" kvm record -o "$work/data" -e cpu-clock -F 1000 --no-guest-symbols \
		--guest="unix:$work/s1,name=g1" -- timeout 0.1 sh -c 'while :; do :; done' \
		>"$work/out" 2>&1 || fail "$(cat "$work/out")"
	echo $((($(date +%s%N) - from) / 1000000))
	"$perf" script -i "$work/data" -F machine_pid -G 2>/dev/null | grep -q VM: ||
		fail "no sample of the guest"
done | sort -n >"$work/times"

echo "bench: guests_loopback_8_lost_events $lost records"
echo "bench: guests_loopback_8_samples_per_second_each $sent 1/s"
echo "bench: first_merged_sample_ms $(sed -n "$(((runs + 1) / 2))p" "$work/times") ms"
echo "first_merged_sample_ms: from the start of perf kvm record, with one guest and a command"
echo "of 100 ms, to the end of the merge, which begins when the recording has ended."
