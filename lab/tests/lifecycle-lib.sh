# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests of a guest's life share: its registers as the host has them, and its memory.
. lab/tests/pvpmu-lib.sh

# register GUEST VCPU NAME: the value that the host's debugfs shows
register() {
	awk -v name="$3" '$1 == name { print $2; found = 1 } END { exit !found }' \
		/sys/kernel/debug/kvm/"$(guest-pid "$1")"-*/vcpu"$2"/pvpmu || fail "no register $3 in debugfs"
}

# page_of GUEST VCPU: the address of the vCPU's counter page in the guest's memory, or 0
page_of() {
	printf '%d\n' $(($(register "$1" "$2" page) & ~0xfff))
}

# look_at GUEST ADDRESS: the checksum of one page of its memory
look_at() {
	rm -f /run/lab/page
	guest-qmp "$1" pmemsave "{\"val\": $2, \"size\": 4096, \"filename\": \"/run/lab/page\"}" >"$work/qmp" ||
		fail "pmemsave: $(cat "$work/qmp")"
	md5sum </run/lab/page
}

# assert_given_up GUEST ADDRESS WHAT: nobody writes to the page while the guest works
assert_given_up() {
	before=$(look_at "$1" "$2")
	guest -g "$1" run-cpuid 5000
	[ "$(look_at "$1" "$2")" = "$before" ] || fail "$3: the page at $2 is written to after it was given up"
	echo "ok: $3: the page at $2 stands still"
}

# assert_written GUEST ADDRESS: the same look sees a page that is in use
assert_written() {
	before=$(look_at "$1" "$2")
	guest -g "$1" run-cpuid 10
	[ "$(look_at "$1" "$2")" != "$before" ] || fail "the page at $2 is in use, and does not change"
}

# count_in_background GUEST: perf counts and samples everything until the guest ends
count_in_background() {
	guest -g "$1" "perf stat -a -e cycles,instructions,$cpuid_event -- sleep 1000 >/dev/null 2>&1 &
		perf record -q -o /tmp/all -a -e pvpmu/guest-ns/ -F 100 -- sleep 1000 >/dev/null 2>&1 &
		sleep 2"
}

# wait_for_other_boot GUEST OLD-ID: until the guest's next kernel takes commands
wait_for_other_boot() {
	i=0
	until id=$(guest -g "$1" -t 3 cat /proc/sys/kernel/random/boot_id 2>/dev/null) && [ "$id" != "$2" ]; do
		[ $((i += 1)) -lt 90 ] || fail "the guest's next kernel did not come up: $(tail -n 15 "$LAB_OUT/$1.console")"
		sleep 1
	done
}

# until_status GUEST STATUS: of the VM, by its QEMU
until_status() {
	i=0
	until guest-qmp "$1" query-status | grep -q "$2"; do
		[ $((i += 1)) -lt 60 ] || fail "$1 is not $2: $(tail -n 15 "$LAB_OUT/$1.console")"
		sleep 0.5
	done
}
