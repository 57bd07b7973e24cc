# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests of the perf clock share, beside lib.sh: what a guest says of its clock, and is it the host's?
# The guest is where $place says, as in migration-lib.sh: it may have moved.
[ -n "${work:-}" ] || . lab/tests/lib.sh

place=${place:-clock}

# start_clock_guest [SETTING...]: a fresh one, as what a test does to its clock stays
start_clock_guest() {
	guest-stop "$place"
	guest-start "$place" root=image mem=300 "$@"
}

in_guest() {
	guest -g "$place" "$@"
}

# vcpu_thread VCPU: the thread of it in the host VM
vcpu_thread() {
	cat /sys/kernel/debug/kvm/"$(guest-pid "$place")"-*/vcpu"$1"/pid
}

# source_line: SOURCE: REASON
source_line() {
	in_guest cat /proc/sys/kernel/perf_pv_clock
}

# relation FIELD: 1 the host's epoch, 2 the generation, 3 the offset
relation() {
	in_guest cat /proc/sys/kernel/perf_pv_clock_host | awk -v field="$1" '{ print $field; found = NF == 3 } END { exit !found }' ||
		fail "the guest does not say how its clock relates to the host's: $(in_guest cat /proc/sys/kernel/perf_pv_clock_host)"
}

# assert_aligned WHEN: what each vCPU's perf reads, plus the offset it tells, is the host's clock of the same moment
assert_aligned() {
	offset=$(relation 3)
	for vcpu in $(in_guest cat /sys/devices/system/cpu/online | tr ',-' '  '); do
		before=$(perf-now)
		now=$(in_guest taskset -c "$vcpu" perf-now) || fail "perf-now on vCPU $vcpu"
		after=$(perf-now)
		assert_between $((now + offset)) "$before" "$after" "vCPU $vcpu's clock $1, as the host's"
	done
}

# assert_user_time: user space reads the same clock as the guest's kernel
assert_user_time() {
	in_guest perf-now -u 20 >"$work/out" 2>&1 ||
		fail "the clock as user space reads it, $1: $(cat "$work/out")"
	echo "ok: before, in and after the kernel, $1: $(cat "$work/out")"
}

# wait_for_source LINE SECONDS: the watch of an idle CPU may sleep, so the guest works meanwhile
wait_for_source() {
	i=0
	until [ "$(source_line)" = "$1" ]; do
		[ $((i += 1)) -le "$2" ] || fail "the guest's clock is '$(source_line)' after $2 s, not '$1'"
		in_guest timeout 1 sh -c "while :; do :; done" || :
	done
	echo "ok: the guest's clock is '$1' after $i s"
}

# Times in ns of all samples of a perf.data in the guest, in the order of the file: perf itself sorts what it shows.
sample_times() {
	in_guest "perf report -D --disable-order -i $1 2>/dev/null" |
		sed -n 's/^\([0-9]* \)\?\([0-9]*\) 0x[0-9a-f]* \[0x[0-9a-f]*\]: PERF_RECORD_SAMPLE.*/\2/p'
}

# forget_registration VCPU: the host's side of it, as after a migration by a VMM that does not know the register
msr_perf_clock=0x4b564d48	# asm/kvm_perf_clock.h
forget_registration() {
	# dd finds an MSR by its number in units of the 8 bytes that it writes.
	in_guest "head -c 8 /dev/zero | dd of=/dev/cpu/$1/msr bs=8 seek=$((msr_perf_clock / 8)) conv=notrunc 2>/dev/null" ||
		fail "could not write PERF_CLOCK of vCPU $1"
}

# start_reading: both vCPUs read the clock again and again, until assert_no_step_back WHEN. A step of a few ms stays unseen:
# so long all vCPUs are stopped when they change over.
start_reading() {
	in_guest "rm -f /tmp/stop /tmp/read.*
		for vcpu in 0 1; do
			{ taskset -c \$vcpu perf-now 100 /tmp/stop; echo \$? >/tmp/read.\$vcpu; } \
				>/tmp/said.\$vcpu 2>&1 </dev/null &
		done"
	sleep 1
}

assert_no_step_back() {
	in_guest "touch /tmp/stop; i=0
		until { [ -s /tmp/read.0 ] && [ -s /tmp/read.1 ]; } || [ \$((i += 1)) -gt 300 ]; do sleep 0.1; done"
	for vcpu in 0 1; do
		[ "$(in_guest cat /tmp/read.$vcpu)" = 0 ] ||
			fail "vCPU $vcpu's time, $1: $(in_guest cat /tmp/read.$vcpu /tmp/said.$vcpu)"
		echo "ok: vCPU $vcpu's time did not step back, $1"
	done
}
