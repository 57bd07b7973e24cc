# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What every test of the lab sources: how to fail, to skip, and to compare.
#
# A test runs in the host VM, in the repository's root, with guest, guest-start,
# guest-stop and guest-pid on its PATH. It passes when it ends with 0.

set -eu

# A scratch directory of the test's own; it goes with the test.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# For what this machine cannot do, with the reason; never for what is broken.
skip() {
	echo "SKIP: $*"
	exit 4
}

# assert_eq GOT EXPECTED WHAT
assert_eq() {
	[ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
	echo "ok: $3 is $1"
}

# assert_between GOT LOW HIGH WHAT, all of them integers, both ends allowed
assert_between() {
	case $1 in
	'' | *[!0-9-]*) fail "$4: '$1' is not a number" ;;
	esac
	{ [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; } || fail "$4: got $1, expected $2 to $3"
	echo "ok: $4 is $1 ($2 to $3)"
}

# assert_contains FILE PATTERN WHAT
assert_contains() {
	grep -qE -e "$2" "$1" || fail "$3: no line matches '$2' in: $(head -c 2000 "$1")"
	echo "ok: $3"
}

# The value of EVENT in a file that "perf stat -x," wrote; fails where it was not counted.
stat_value() {
	awk -F, -v event="$2" '$3 == event { print $1; found = 1 } END { exit !found }' "$1" ||
		fail "$2 is not in the output of perf stat: $(cat "$1")"
}
