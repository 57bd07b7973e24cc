# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests of the guest's PMU share, beside lib.sh: perf stat in the guest, and the synthetic PMU's rates.
. lab/tests/lib.sh

cpuid_event=pvpmu/vm-exits-cpuid/

# shellcheck disable=SC2034 # for the tests
# arch/x86/events/synthetic_pmu.c: RATE_CYCLES / RATE_INSTRUCTIONS, SHARE_USER of SHARE_ALL, SYNTHETIC_COUNTERS
{
	cycles_per_instruction=2
	user_per_kernel=3
	host_counters=4
}

# guest_stat EVENTS [PERF-OPTION...] -- COMMAND...: the counts, in $work/stat
guest_stat() {
	events=$1
	shift
	guest -t 400 perf stat -x, -e "$events" "$@" >"$work/out" 2>"$work/stat" ||
		fail "perf stat -e $events failed: $(cat "$work/stat")"
}

# Field FIELD of EVENT's line in $work/stat: 1 the count, 4 the running time in ns, 5 its share in percent
stat_field() {
	awk -F, -v event="$1" -v field="$2" '$3 == event { print $field; found = 1 } END { exit !found }' \
		"$work/stat" || fail "$1 is not in the output of perf stat: $(cat "$work/stat")"
}

# percent A B: A in percent of B
percent() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (b + 0 == 0) exit 1; printf "%.0f\n", 100 * a / b }' ||
		fail "'$1' in percent of '$2'"
}

# assert_ratio EVENT-A EVENT-B RATIO TOLERANCE: A is RATIO times B, but for TOLERANCE percent
assert_ratio() {
	assert_between "$(percent "$(stat_field "$1" 1)" "$(stat_field "$2" 1)")" \
		$((100 * $3 - $4 * $3)) $((100 * $3 + $4 * $3)) "$1 in percent of $2"
}

# The number of CPUIDs that the event saw of a run-cpuid COUNT, without what starting the program takes.
cpuids_counted() {
	options=$1 count=$2
	# shellcheck disable=SC2086 # the options are words
	guest_stat $cpuid_event $options -- run-cpuid 0
	none=$(stat_field $cpuid_event 1)
	# shellcheck disable=SC2086
	guest_stat $cpuid_event $options -- run-cpuid "$count"
	echo $(($(stat_field $cpuid_event 1) - none))
}
