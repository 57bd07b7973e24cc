# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the tests share that record a host and a guest together: the guest "own", which has a kernel and a root of its own,
# and the perf that knows nothing of ours.
. lab/tests/lifecycle-lib.sh

base=build/base-perf/perf
[ -x $base ] || fail "$base is missing: make base-perf builds it"
own_port=/run/lab/own.port
own_kernel=build/kernel-guest/arch/x86/boot/bzImage

# start_own reset|shutdown: the guest, with a virtio port for an agent beside its vsock, and what a reboot does. Sets own_pid.
start_own() {
	guest-stop own
	guest-start own vcpus=1 root=image mem=400 kernel=$own_kernel -- -action "reboot=$1" \
		-chardev "socket,id=perf,path=$own_port,server=on,wait=off" -device virtserialport,chardev=perf,name=perf.0
	own_pid=$(guest-pid own)
}

# samples_of COMM: how many samples of CPU time the guest's program has in $work/data, by the unmodified perf
samples_of() {
	$base script -i "$work/data" -F comm,pid,machine_pid,vcpu,event,ip >"$work/script" 2>"$work/err" ||
		fail "unmodified perf script: $(cat "$work/err")"
	grep -cE "^VM: *$own_pid VCPU:000 +$1 .*(guest-ns|cpu-clock)" "$work/script" || :
}
