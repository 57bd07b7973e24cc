#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What befalls a guest while it is recorded: a pause, a reboot, and the end of the VM. What it had sent is in the file, the
# host is not disturbed, and what happened is said. Its agent is reached by a virtio port as well as by vsock.
. lab/tests/record-lib.sh

pause=10

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
