#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A function of the guest's kernel spins with interrupts off: guest-ns samples it by its share of time, cpu-clock cannot.
. lab/tests/pvpmu-lib.sh

module=/tmp/preemptirq_delay_test.ko
guest -i "cat >$module" <"$(find build/kernel/ -name preemptirq_delay_test.ko)"
# The module spins BURSTS times for so many us, each with interrupts off; a sample is due after so many ns.
bursts=10 spin=400000 period=20000000
# How far a share may be off, in points
tolerance=5

# share_of_spin EVENT: of all of that profile's time, the percentage that lies in the function
share_of_spin() {
	guest -t 250 "perf record -q -a -g -P -e $1 -c $period -o /tmp/spin -- \
		sh -c 'perf stat -x, -o /tmp/stat -a -e pvpmu/guest-ns/ -- \
			insmod $module test_mode=irq delay=$spin burst_size=$bursts; sleep 3'" \
		>"$work/out" 2>&1 || fail "perf record -e $1: $(cat "$work/out")"
	# The module's symbols are known while it is loaded.
	guest -t 200 "perf script -i /tmp/spin -F period,ip,sym 2>/dev/null; rmmod preemptirq_delay_test" >"$work/script"
	awk '
		# A sample is its period and then a line for each caller.
		function end() { all += period; if (hit) spin += period }
		NF == 1 { end(); period = $1; hit = 0 }
		/preemptirqtest_|busy_wait|preemptirq_delay_run/ { hit = 1 }
		END { end(); printf "%.1f %.0f %.0f\n", all ? 100 * spin / all : 0, spin / 1000000, all / 1000000 }' "$work/script"
}

# shellcheck disable=SC2046 # the words are wanted
set -- $(share_of_spin pvpmu/guest-ns/)
echo "guest-ns: $1 % of samples, $2 of $3 ms"
# What the vCPU ran while the function spun, which is less than it spun where the host took the processor.
guest cat /tmp/stat >"$work/stat"
with_spin=$(stat_field pvpmu/guest-ns/ 1)
# Without what starting insmod takes, and what else goes on in that time.
guest "perf stat -x, -o /tmp/stat -a -e pvpmu/guest-ns/ -- \
	sh -c 'insmod $module delay=1; sleep $((bursts * spin / 1000000))'; rmmod preemptirq_delay_test"
guest cat /tmp/stat >"$work/stat"
expected=$(percent $((with_spin - $(stat_field pvpmu/guest-ns/ 1))) $(($3 * 1000000)))
echo "the function had $expected % of the time"
assert_between "${1%.*}" $((expected - tolerance)) $((expected + tolerance)) \
	"share of the function in percent, by guest-ns"
# shellcheck disable=SC2046
set -- $(share_of_spin cpu-clock)
echo "beside it, cpu-clock: $1 %, $2 of $3 ms"
