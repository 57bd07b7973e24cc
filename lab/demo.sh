#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Shows, from a host VM and the guest inside it, what pvperf counts on both sides, and a profile of both together;
# runs in the host VM.
. lab/tests/lib.sh

events=cycles,instructions,pvpmu/vm-exits/,pvpmu/guest-ns/,pvpmu/steal-ns/
# What the guest works on.
load='gzip -9 -c /usr/bin/perl | wc -c'

say() {
	printf '\n== %s\n' "$*"
}

# The count of EVENT in what perf stat printed for people.
count_of() {
	awk -v event="$2" '{
		for (i = 2; i <= NF; i++)
			if ($i == event)
				print $(i - 1) == "ns" ? $(i - 2) : $(i - 1)
	}' "$1"
}

say "the host VM: $(uname -r), up for $(cut -d' ' -f1 /proc/uptime) s"
guest-need guest vcpus=1
say "the guest VM: $(guest uname -r), up for $(guest cut -d' ' -f1 /proc/uptime) s"

say "guest: perf kvm pvpmu list"
guest perf kvm pvpmu list

# Both sides count one run: perf kvm pvpmu stat on the host around perf stat in the guest.
perf kvm pvpmu stat --vm guest -o "$work/host" -- \
	guest perf stat -a -e "$events" -- sh -c "$load" >"$work/guest" 2>&1 &
counting=$!
state=$(echo /sys/kernel/debug/kvm/"$(guest-pid guest)"-*/vcpu0/pvpmu)
until grep -q '^ctrl 0x0*[1-9a-f]' "$state" || ! kill -0 $counting 2>/dev/null; do
	sleep 0.2
done

say "host: perf kvm pvpmu list, while the guest counts"
perf kvm pvpmu list
wait $counting || fail "counting ended with an error: $(cat "$work/guest")"

say "guest: perf stat -a -e $events -- sh -c '$load'"
cat "$work/guest"

say "host: perf kvm pvpmu stat --vm guest, around the same run"
cat "$work/host"

say "both sides; the host's span is longer: it saw perf start and end in the guest"
for event in vm-exits guest-ns; do
	guest=$(count_of "$work/guest" "pvpmu/$event/")
	host=$(count_of "$work/host" "kvm_vcpu/$event/")
	awk -v event="$event" -v guest="$guest" -v host="$host" 'BEGIN {
		printf "%-9s guest %13d   host %13d   guest/host %5.1f %%\n", event, guest, host, 100 * guest / host
		exit !(guest > 0 && guest <= host)
	}' || fail "the guest counted more $event than its host, or nothing"
done

# The second part: one profile of both, of work that has the guest leave to its host now and then.
say "guest: perf kvm agent --listen vsock"
guest-agent guest

# list REPORT-COMMAND...: the first list that it prints, that of CPU time, without its blanks and remarks
list() {
	"$@" -i "$data" --stdio --no-children -g none --percent-limit 0.7 2>/dev/null |
		sed -e '/kvm:kvm_entry/,$d' -e 's/ *$//' -e '/^# To display/d' -e '/^#$/d' | cat -s
}

data=$work/perf.data.kvm
load="perf bench sched pipe -l 5000; $load"
set -- --guest=guest -e cpu-clock --guest-event=pvpmu/guest-ns/ --join-events=cpu-clock+pvpmu/guest-ns/ -F 200 -g --verify
say "host: perf kvm record $* -- (the guest works)"
perf kvm record "$@" -o "$data" -- guest sh -c "$load" >"$work/out" 2>&1 || fail "perf kvm record: $(cat "$work/out")"
sed -n '/MACHINE/,$p' "$work/out"

say "host: report of an unmodified perf, the CPU time of host and guest in one list"
list build/base-perf/perf report --sort comm,dso,sym >"$work/report"
cat "$work/report"
for line in ' \[kernel.kallsyms\]  *\[k\]' ' gzip  *gzip  *\[u\]' ' \[guest.kernel.kallsyms.*\[g\] [a-z]'; do
	grep -qE "$line" "$work/report" || fail "the report has no line with '$line'"
done

say "host: perf kvm report, with VM and vCPU"
list perf kvm report
