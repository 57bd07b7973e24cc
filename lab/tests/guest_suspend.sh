#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest is suspended to memory while it counts and samples: asleep nothing is written, awake all goes on.
. lab/tests/lifecycle-lib.sh
. lab/tests/clock-lib.sh
place=life

guest-stop life
guest-start life vcpus=2 root=image mem=300

guest -g life -i "cat >/tmp/job; setsid sh /tmp/job </dev/null >/tmp/log 2>&1 &" <<-END
	ln -s /usr/bin/run-cpuid /tmp/before
	ln -s /usr/bin/run-cpuid /tmp/after
	perf record -q -o /tmp/samples -e pvpmu/guest-ns/ -c 5000000 -a -- sleep 1000 &
	record=\$!
	perf stat -x, -o /tmp/stat -e $cpuid_event,cycles -- /tmp/before 1000 /tmp/stop >/tmp/executed
	kill -INT \$record
	wait \$record
	touch /tmp/done
END
sleep 3
page0=$(page_of life 0)
page1=$(page_of life 1)
assert_written life "$page0"

guest -g life "(sleep 1; echo mem >/sys/power/state) >/tmp/suspend 2>&1 &"
until_status life suspended
for vcpu in 0 1; do
	assert_eq "$(page_of life $vcpu)" 0 "vCPU $vcpu's page while the guest sleeps"
	assert_eq "$(($(register life $vcpu ctrl)))" 0 "vCPU $vcpu's GLOBAL_CTRL"
done
asleep="$(look_at life "$page0") $(look_at life "$page1")"
sleep 1
assert_eq "$(look_at life "$page0") $(look_at life "$page1")" "$asleep" "what is in the pages after a second"

guest-qmp life system_wakeup
# perf's own events of a CPU end with it when it goes down, so for the second CPU only those of tasks go on.
guest -g life "taskset -c 0 /tmp/after 2000; touch /tmp/stop; i=0
	until [ -e /tmp/done ] || [ \$((i += 1)) -gt 60 ]; do sleep 1; done; [ -e /tmp/done ]" ||
	fail "perf did not end after the suspend: $(guest -g life cat /tmp/log)"
assert_written life "$(page_of life 0)"
assert_aligned "after a suspend"
assert_eq "$(relation 3)" 0 "offset of a clock that went on while its guest slept"

guest -g life cat /tmp/stat >"$work/stat"
guest -g life perf stat -x, -o /tmp/start -e $cpuid_event -- /tmp/before 0
none=$(guest -g life cat /tmp/start | awk -F, '/cpuid/ { print $1 }')
assert_eq "$(stat_field $cpuid_event 1)" $(($(guest -g life cat /tmp/executed) + none)) "CPUIDs across a suspend"
[ "$(stat_field cycles 1)" -gt 0 ] || fail "no cycles were counted across a suspend"
guest -g life perf script -i /tmp/samples -F comm >"$work/script" 2>/dev/null
for comm in before after; do
	[ "$(grep -c "$comm" "$work/script")" -gt 0 ] || fail "no samples of the program that ran $comm the suspend"
done
echo "ok: samples from before and after a suspend"
guest-stop life
