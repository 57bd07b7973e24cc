#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What perf kvm agent takes of a CPU while it records 20000 samples/s and sends them
# over a Unix socket, beside perf record that writes as many to a file. Runs on this
# machine, as a VM of the lab has no such rate. Counted is the time of perf record and
# of the agent's session, without their start and end, and not that of the receiver.
. lab/tests/rate-lib.sh

perf=$PWD/build/perf/perf
host=$PWD/tools/perf/tests/shell/lib/kvm_agent_host.py
freq=20000
seconds=10


# cpu_ns PID...: what their threads have run
cpu_ns() {
	for pid; do
		cat /proc/"$pid"/task/*/schedstat
	done | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# percent PID...: of one CPU, in the seconds from now on
percent() {
	from=$(date +%s%N) begin=$(cpu_ns "$@")
	sleep "$seconds"
	end=$(cpu_ns "$@") to=$(date +%s%N)
	awk "BEGIN { printf \"%.3f\n\", 100 * ($end - $begin) / ($to - $from) }"
}

# child_of PID: its only one, which may still have to be born
child_of() {
	for _ in $(seq 50); do
		pgrep -P "$1" && return
		sleep 0.1
	done
	fail "process $1 started nothing"
}

allow_rate 2>/dev/null || skip "root is needed to allow $freq samples/s"

# All of a CPU is sampled, whoever has it: so the rate is right on a busy machine, too.
cpu=$(taskset -pc $$ | sed 's/.*: //; s/[,-].*//')
taskset -c "$cpu" sh -c 'while :; do :; done' &
busy=$!
pids=$busy

"$perf" kvm agent --listen "unix:$work/s" --policy /dev/stdin 2>"$work/log" <<-POLICY &
	max-rate $freq
POLICY
agent=$!
pids="$pids $agent"
for _ in $(seq 100); do
	[ ! -e "$work/s" ] || break
	sleep 0.1
done
RECORD_SECONDS=$((seconds + 4)) python3 "$host" "$work/s" count --cpu="$cpu" --event=cpu-clock \
	--freq=$freq --mmap-pages=128 2>"$work/host" &
receiver=$!
pids="$pids $receiver"
session=$(child_of "$agent")
record=$(child_of "$session")
sleep 2
percent "$session" "$record" >"$work/agent"
wait $receiver || fail "$(cat "$work/host" "$work/log")"

"$perf" record --cpu="$cpu" --event=cpu-clock --freq=$freq --mmap-pages=128 -o "$work/data" \
	>"$work/record" 2>&1 &
record=$!
pids="$pids $record"
sleep 2
percent "$record" >"$work/file"
kill -INT $record
wait $record || :

"$perf" script -i "$work/data" -F time --ns >"$work/times"
# between the first sample and the last
rate=$(awk '{ sub(":", "", $1) } NR == 1 { first = $1 } { last = $1 }
	    END { printf "%.0f\n", (NR - 1) / (last - first) }' "$work/times")
sent=$(awk '/^samples/ { printf "%.0f\n", $2 / $(NF - 1) }' "$work/host")
lost=$(awk '/^samples/ { print $4 }' "$work/host")

echo "bench: agent_samples_per_second $sent 1/s"
echo "bench: agent_lost_records $lost records"
echo "bench: record_to_file_samples_per_second $rate 1/s"
# What was not made was not measured: 5 % may be late timers.
if [ "$sent" -lt $((freq * 95 / 100)) ] || [ "$rate" -lt $((freq * 95 / 100)) ]; then
	echo "agent_cpu_percent_at_20k_samples: not measured, as this machine did not make 20000/s"
	exit
fi
echo "bench: agent_cpu_percent_at_20k_samples $(cat "$work/agent") %"
echo "bench: record_to_file_cpu_percent_at_20k_samples $(cat "$work/file") %"
