# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests share that record a host and a guest together: the guest "own", which has a kernel and a root of its own,
# and the perf that knows nothing of ours.
. lab/tests/lifecycle-lib.sh

base=build/base-perf/perf
[ -x $base ] || fail "$base is missing: make base-perf builds it"
own_port=/run/lab/own.port
own_kernel=build/kernel-guest/arch/x86/boot/bzImage

# start_own reset|shutdown [SETTING...]: the guest, with a virtio port for an agent beside its vsock, and what a reboot does.
# Sets own_pid.
start_own() {
	action=$1
	shift
	guest-stop own
	guest-start own vcpus=1 root=image mem=400 kernel=$own_kernel "$@" -- -action "reboot=$action" \
		-chardev "socket,id=perf,path=$own_port,server=on,wait=off" -device virtserialport,chardev=perf,name=perf.0
	own_pid=$(guest-pid own)
}

# samples_of COMM: how many samples of CPU time the guest's program has in $work/data, by the unmodified perf
samples_of() {
	$base script -i "$work/data" -F comm,pid,machine_pid,vcpu,event,ip >"$work/script" 2>"$work/err" ||
		fail "unmodified perf script: $(cat "$work/err")"
	grep -cE "^VM: *$own_pid VCPU:000 +$1 .*(guest-ns|cpu-clock)" "$work/script" || :
}

# verified: how many thousandths of a percent of the guest's samples lie in guest mode of their vCPU, by the host's trace
verified() {
	sed -n 's/^verify: .*(\([0-9]*\)\.\([0-9]\{3\}\) %).*/\1\2/p' "$work/out"
}

# begin GUEST [OPTION...]: records it in the background, while its program works; until its samples arrive
begin() {
	who=$1
	shift
	rm -rf "$work/data"
	guest -g own "pkill own-chain; setsid own-chain 1000 >/dev/null 2>&1 </dev/null &
		until pgrep own-chain; do sleep 0.1; done >/dev/null"
	perf kvm record -v --guest="$who" -o "$work/data" "$@" -e cpu-clock --guest-event=pvpmu/guest-ns/ -F 100 >"$work/out" 2>&1 &
	recorder=$!
	i=0
	until grep -qE ' own [1-9][0-9]* samples' "$work/out"; do
		kill -0 "$recorder" 2>/dev/null || fail "perf kvm record ended: $(cat "$work/out")"
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
	kill -INT "$recorder"
	wait "$recorder" || code=$?
	grep -vE '^(build id|overlapping|[0-9]+ s:)' "$work/out" || :
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
