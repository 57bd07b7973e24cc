#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What guest and host trace of the same moments, put together by its time as it stands: each of the guest's writes to a
# port comes before its VM exit and returns after it, and the guest does nothing while it is not run.
. lab/tests/clock-lib.sh

writes=200		# of run-io
pwrite64=18		# its system call, x86's number
port='info1 0x000000000080'	# run-io's port, in bits 31:16 on AMD and Intel

# No file can be short of records unnoticed.
assert_nothing_lost() {
	if grep PERF_RECORD_LOST "$1"; then
		fail "records were lost $2"
	fi
}

# trace_both [WORD...]: traces a guest that has these words on its command line, and merges both to $work/merged
trace_both() {
	start_clock_guest vcpus=1 append="$*"
	in_guest "rm -f /tmp/go; (
			perf record -q -o /tmp/data -e raw_syscalls:sys_enter,raw_syscalls:sys_exit --filter 'id == $pwrite64' \
				-- sh -c 'touch /tmp/ready; until [ -e /tmp/go ]; do sleep 0.1; done; run-io $writes'
			touch /tmp/done
		) >/tmp/log 2>&1 </dev/null &
		i=0
		until [ -e /tmp/ready ] || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done; [ -e /tmp/ready ]" ||
		fail "perf record in the guest: $(in_guest cat /tmp/log)"
	# The host's trace makes each exit several times as long: it begins when perf in the guest has started.
	perf record -q -m 16M -o "$work/data" -e kvm:kvm_exit,kvm:kvm_entry -t "$(vcpu_thread 0)" -- \
		guest -g "$place" -t 60 "touch /tmp/go; until [ -e /tmp/done ]; do sleep 0.1; done" >"$work/out" 2>&1 ||
		fail "perf record on the host: $(cat "$work/out")"

	perf report -D -i "$work/data" >"$work/dump" 2>/dev/null
	assert_nothing_lost "$work/dump" "on the host"
	in_guest "perf report -D -i /tmp/data 2>/dev/null" >"$work/dump"
	assert_nothing_lost "$work/dump" "in the guest"

	perf script -i "$work/data" --ns -F time,event,trace >"$work/host" 2>/dev/null
	in_guest "perf script -i /tmp/data --ns -F time,event,trace 2>/dev/null" >"$work/guest"
	sort -n "$work/host" "$work/guest" >"$work/merged"
	assert_eq "$(grep -c 'sys_enter: NR' "$work/guest")" $writes "writes that the guest traced"
	assert_eq "$(grep -c 'sys_exit: NR' "$work/guest")" $writes "their returns"
	assert_eq "$(grep -c "reason \(io\|IO_INSTRUCTION\) .*$port" "$work/host")" $writes "exits by them that the host traced"
}

# The writes whose own exit, the one of the same number, comes between their begin and their end; the guest's events between a VM entry
# and the next exit; and how far off, in ns, a clock must be so that one of the writes shows it, whichever way it is wrong.
look_at_order() {
	awk -v port="$port" '
		function ns(time) { split(time, part, /[.:]/); return part[1] * 1000000000 + part[2] }
		/kvm:kvm_entry/ { running = 1; entered = ns($1) }
		/kvm:kvm_exit/ { running = 0 }
		/kvm:kvm_exit/ && index($0, port) { exited = ns($1); exits++ }
		/sys_enter: NR/ { in_guest += running; begun = ns($1); exits_before = exits; begins++ }
		/sys_exit: NR/ {
			in_guest += running
			if (exits_before == begins - 1 && exits == begins) {
				ordered++
				if (ordered == 1 || exited - begun < ahead) ahead = exited - begun
				if (ordered == 1 || ns($1) - entered < behind) behind = ns($1) - entered
			}
		}
		END { print ordered + 0, in_guest + 0, (ahead > behind ? ahead : behind) }' "$work/merged"
}

trace_both
assert_eq "$(source_line)" "page: the host's" "the guest's clock"
echo "The second write, as sort puts the lines of both machines:"
awk '/sys_enter: NR/ { n++ } n == 2 { print } n == 2 && /sys_exit: NR/ { exit }' "$work/merged"
order=$(look_at_order)
# shellcheck disable=SC2086 # three numbers
set -- $order
assert_eq "$1" $writes "writes in order with their exits"
assert_eq "$2" $((2 * writes)) "the guest's events while it was run"
echo "ok: a clock that is off by $3 ns would not pass"

# The look can see a wrong clock: the guest's own, as before.
trace_both perf_pv_clock=off
order=$(look_at_order)
# shellcheck disable=SC2086
set -- $order
assert_eq "$1" 0 "writes in order with their exits by the guest's own clock"
assert_eq "$2" 0 "its events while it was run"
guest-stop "$place"
