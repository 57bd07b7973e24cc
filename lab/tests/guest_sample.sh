#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Sampling in the guest: exact for what KVM counts, by time, with callchains, per task and per CPU.
. lab/tests/pvpmu-lib.sh

# record EVENT [OPTION...] -- COMMAND...: into /tmp/perf.data of the guest
record() {
	event=$1
	shift
	guest -t 200 perf record -q -o /tmp/perf.data -e "$event" "$@" >"$work/out" 2>&1 ||
		fail "perf record -e $event: $(cat "$work/out")"
}

# script FIELDS: perf script of it, in $work/script
script() {
	guest -t 200 perf script -i /tmp/perf.data -F "$1" >"$work/script" 2>"$work/out" ||
		fail "perf script: $(cat "$work/out")"
}

# most_frequent: how often the line of $work/script comes that comes most often, and that line
most_frequent() {
	sort "$work/script" | uniq -c | sort -rn | head -n 1
}

# exact CAUSE PROGRAM SYMBOL: each of the exits that the program causes is a sample at one instruction of SYMBOL
exact() {
	record "pvpmu/vm-exits-$1/" -c 1 -- taskset -c 0 "$2" 1000
	script ip,sym
	# shellcheck disable=SC2046 # the words are wanted
	set -- "$1" "$3" $(most_frequent)
	assert_between "$3" 999 1001 "samples of 1000 exits by $1, at one instruction"
	case $5 in
	$2*) ;;
	*) fail "the samples of exits by $1 are in $5, not in $2" ;;
	esac
}
exact cpuid run-cpuid main
exact io run-io write_port
exact msr run-msr '*msr*'

# Every exit of a real job, whatever its cause: what sampling takes is not among them, else it never ended.
record pvpmu/vm-exits/ -c 1 -- sh -c 'seq 300 >/dev/console'
script ip,sym
assert_between "$(wc -l <"$work/script")" 100 10000 "samples of all exits of a job that writes to the serial port"
assert_contains "$work/script" 'io_serial_out' "the port's accesses are among them"

# A group's members are read with each sample of its leader; both count the same CPUIDs.
record '{pvpmu/vm-exits-cpuid/,pvpmu/vm-exits/}:S' -c 100 -- run-cpuid 1000
guest perf report -i /tmp/perf.data --stdio --group >"$work/report" 2>&1
assert_contains "$work/report" 'main' "a group is sampled"

# Callchains of the kernel and of the program.
record pvpmu/guest-ns/ -c 1000000 -g -- dd if=/dev/zero of=/dev/null bs=64k count=3000
script ip,sym
assert_contains "$work/script" '(entry_SYSCALL_64|do_syscall_64)' "callchains of the kernel"

# An event of user space shows user space, also where its interrupt comes once the kernel has been entered.
record cycles:u -c 2000000 -- dd if=/dev/zero of=/dev/null bs=512 count=100000
script ip
assert_between "$(wc -l <"$work/script")" 20 100000 "samples of cycles:u in a program that mostly calls the kernel"
assert_eq "$(grep -c ' ffff[0-9a-f]*$' "$work/script" || true)" 0 "samples of cycles:u in the kernel"

# By frequency, which is one of guest time, on all CPUs, and without naming an event. The host merges samples that it is
# late for.
record pvpmu/guest-ns/ -F 200 -a -g -- sh -c 'timeout 4 sh -c "while :; do :; done" || true'
script period
assert_between "$(awk '{ sum += $1 } END { printf "%.0f\n", sum / NR }' "$work/script")" 5000000 20000000 \
	"guest time per sample, in ns, at 200 Hz"
# Each sample stands for what was counted since the one before, so together they are the whole.
record pvpmu/guest-ns/ -F 500 -- perf stat -x, -o /tmp/stat -e pvpmu/guest-ns/ -- \
	dd if=/dev/zero of=/dev/null bs=64k count=8000
script comm,period
guest cat /tmp/stat >"$work/stat"
assert_between "$(percent "$(awk '$1 ~ /^(dd|perf-exec)$/ { sum += $2 } END { printf "%d", sum }' "$work/script")" \
	"$(stat_field pvpmu/guest-ns/ 1)")" 90 110 "the periods of a program's samples in percent of its count"
guest -t 200 perf record -o /tmp/perf.data -- run-cpuid 100 >"$work/out" 2>&1 || fail "$(cat "$work/out")"
guest perf evlist -i /tmp/perf.data >"$work/events" 2>/dev/null
assert_contains "$work/events" 'cycles' "perf record chooses cycles where the host counts them"

# perf top shows it while it goes on. (Where its input ends, it does nothing but ask again for a key.)
guest "
	sleep 60 | timeout -s INT 60 perf top --stdio -e pvpmu/guest-ns/ -c 5000000 -d 1 >/tmp/top 2>&1 &
	timeout 60 dd if=/dev/zero of=/dev/null bs=64k 2>/dev/null &
	i=0
	until grep -q read_zero /tmp/top || [ \$((i += 1)) -gt 100 ]; do sleep 0.5; done
	pkill -INT perf; pkill dd; pkill sleep
	wait
	cat /tmp/top
" >"$work/top" 2>&1
assert_contains "$work/top" '^ +[0-9.]+% +\[kernel\] +\[k\] read_zero' "perf top shows the kernel's function"

# What pvpmu itself causes is not sampled: it would feed on itself.
if guest perf record -q -o /tmp/perf.data -e pvpmu/pvpmu-exits/ true >"$work/out" 2>&1; then
	fail "pvpmu's own exits can be sampled"
fi
