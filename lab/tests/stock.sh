#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the KVM selftests that the base brings, and leaves how each went in stock.txt of the shared directory.
. lab/tests/lib.sh

dir=build/selftests
# What one of them may take, in seconds: some run until they are stopped.
deadline=60

# outcome_of STATUS: as kselftest's exit codes have it; a test that is not for this machine says why
outcome_of() {
	case $1 in
	0) echo passed ;;
	4) echo "skipped $(grep -iE 'skip|require' "$work/out" | tail -n 1)" ;;
	124) echo "failed still ran after $deadline s" ;;
	*) echo "failed $(grep -vE '^ *[0-9]+\s|^$' "$work/out" | tail -n 1)" ;;
	esac
}

# Below its directory is no place to write.
cd "$dir"
while read -r test; do
	[ -x "$test" ] || fail "$dir/$test is missing: make check-stock builds it"
	status=0
	timeout $deadline "./$test" >"$work/out" 2>&1 </dev/null || status=$?
	echo "$test $(outcome_of $status)" | tr -d '\r' | cut -c1-200 | tee -a "$work/results"
done <stock-list
grep -q ' passed$' "$work/results" || fail "not one of them passed"
cp "$work/results" "$LAB_OUT/stock.txt"
