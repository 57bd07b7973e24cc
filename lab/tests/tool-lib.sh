# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests of "perf kvm pvpmu" share, beside lib.sh: JSON, and lines of "stat -x,".
. lab/tests/lib.sh

# expect STATUS COMMAND...: the command must end with this status; $work/out and $work/err have its output
expect() {
	expected=$1
	shift
	status=0
	"$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status -eq "$expected" ] ||
		fail "'$*' ended with $status, expected $expected: $(cat "$work/out" "$work/err")"
}

# assert_json FILE EXPRESSION WHAT: a Python expression over d, the object that is in the file
assert_json() {
	/usr/bin/python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$1" "$2" || fail "$3: not '$2' in: $(head -c 3000 "$1")"
	echo "ok: $3"
}

# assert_json_lines FILE: every line is an object
assert_json_lines() {
	/usr/bin/python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(not lines)' "$1" || fail "not lines of JSON: $(cat "$1")"
	echo "ok: each line is JSON"
}

# The sum of EVENT over the lines of VMs or vCPUs that match PATTERN, in a file that "stat -x," wrote on a host.
host_sum() {
	awk -F, -v event="kvm_vcpu/$2/" -v who="$3" \
		'$4 == event && $1 ~ who { sum += $2; found = 1 } END { printf "%d\n", sum; exit !found }' "$1" ||
		fail "$2 of $3 is not in: $(cat "$1")"
}
