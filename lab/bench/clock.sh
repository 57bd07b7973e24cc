#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The perf clock: by how much guest and host differ, and what a reading costs in exits.
. lab/tests/lib.sh

for case in pairs exits; do
	build/selftests/x86_64/perf_clock_test $case >"$work/$case" || fail "$(cat "$work/$case")"
	sed -n 's/^# bench: /bench: /p' "$work/$case"
done
