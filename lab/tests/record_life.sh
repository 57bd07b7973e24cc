#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What befalls a guest while it is recorded: a pause, a reboot, and the end of the VM. What it had sent is in the file, the
# host is not disturbed, and what happened is said. Its agent is reached by a virtio port as well as by vsock.
. lab/tests/record-lib.sh

pause=10

# begin GUEST: records it in the background, while its program works; until its samples arrive
begin() {
	rm -rf "$work/data"
	guest -g own "pkill own-chain; setsid own-chain 1000 >/dev/null 2>&1 </dev/null &
		until pgrep own-chain; do sleep 0.1; done >/dev/null"
	perf kvm record -v --guest="$1" -o "$work/data" -e cpu-clock --guest-event=pvpmu/guest-ns/ -F 100 >"$work/out" 2>&1 &
	recorder=$!
	i=0
	until grep -qE ' own [1-9][0-9]* samples' "$work/out"; do
		kill -0 $recorder 2>/dev/null || fail "perf kvm record ended: $(cat "$work/out")"
		[ $((i += 1)) -lt 300 ] || fail "no samples of the guest: $(cat "$work/out"; guest -g own cat /tmp/agent.log)"
		sleep 0.1
	done
}

# until_said PATTERN: by perf kvm record, within 40 s: a guest's silence is taken for its end after 30
until_said() {
	i=0
	until grep -qE "$1" "$work/out"; do
		[ $((i += 1)) -lt 400 ] || fail "perf kvm record did not say '$1': $(cat "$work/out")"
		sleep 0.1
	done
	grep -E "$1" "$work/out"
}

# end CODE SAMPLES: Ctrl-C; the exit code, and how many samples of the guest's program there are at least
end() {
	code=0
	kill -INT $recorder
	wait $recorder || code=$?
	grep -A9 MACHINE "$work/out" || cat "$work/out"
	assert_eq $code "$1" "perf kvm record's exit code"
	assert_between "$(samples_of own-chain)" "$2" 100000 "samples of the guest's program"
	assert_contains "$work/script" '^[^:]* *cpu-clock:' "samples of the host"
}

# The longest time, in ms, between two samples of the guest.
longest_gap() {
	$base script -i "$work/data" -F machine_pid,time | awk -v pid="$own_pid" '
		$1 == "VM:" && $2 == pid {
			if (before && $NF - before > gap)
				gap = $NF - before
			before = $NF + 0
		}
		END { printf "%d\n", gap * 1000 }'
}

start_own reset

guest-agent own virtio:perf.0
begin "unix:$own_port,name=own"
sleep 2
end 0 50
assert_contains "$work/out" "own \(pid $own_pid\)" "the VM behind the virtio port"
guest -g own pkill perf

guest-agent own
begin own
guest-qmp own stop
sleep $pause
guest-qmp own cont
sleep 2
end 0 100
assert_between "$(longest_gap)" $((pause * 900)) $((pause * 1500)) "the VM's pause, ms without a sample"

begin own
boot=$(guest -g own cat /proc/sys/kernel/random/boot_id)
guest -g own "(sleep 1; reboot -f) >/dev/null 2>&1 &"
until_said "guest 'own': .*(lost|silent)"
wait_for_other_boot own "$boot"
end 3 20

guest-agent own
begin own
sleep 2
kill -KILL "$own_pid"
until_said "guest 'own': .*lost"
end 3 50
guest-stop own
