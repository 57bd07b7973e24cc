#!/bin/bash
# perf kvm merge tests
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

test_two_guests() {
  local name="Two guests"

  merge 0 "${out}/guest1,pid=4001,name=vm1,pv-offset=0" "${out}/guest2,pid=4002,pv-offset=0" ||
    fail "${name}" "status"
  says "guest1, pid 4001, name vm1" "clock: pv, off by at most 2 ns" "lost while recording" ||
    fail "${name}" "text"
  check_counts "${name}" guest1 4001 guest2 4002
  run 0 perf evlist -i "${out}/merged" || fail "${name}" "evlist"
  says "^cpu-clock$" "^cpu-clock@vm1$" "^page-faults@vm1$" || fail "${name}" "names"
}

test_cpumode() {
  local name="Cpumode"

  # Both modes of guests, the kernel's and the user's, have a G.
  perf script -i "${out}/merged" -G -F machine_pid,misc 2> /dev/null > "${out}/misc"
  grep "VM:" "${out}/misc" | grep -vq "G" && fail "${name}" "guests"
  grep -v "VM:" "${out}/misc" | grep -q "G" && fail "${name}" "host"
}

test_vcpus() {
  local name="vCPUs"

  # guest1 was recorded with CPUs, guest2 without.
  perf script -i "${out}/merged" -G -F machine_pid,vcpu,cpu 2> /dev/null > "${out}/vcpus"
  sed -n -E 's/.*VM: *4001 VCPU:([0-9]+) \[([0-9]+)\].*/\1 \2/p' "${out}/vcpus" |
    awk '$1 != $2 { bad = 1 } END { exit bad || !NR }' || fail "${name}" "with CPUs"
  if ! grep -q "^processor.*: 1" /proc/cpuinfo
  then
    return
  fi
  grep "VM: *4002 " "${out}/vcpus" | grep -vq "VCPU:-01" && fail "${name}" "without CPUs"
}

test_offset() {
  local name="Offset"

  merge 0 "${out}/guest1,pid=4001,pv-offset=-1000000000" || fail "${name}" "status"
  check_times "${name}" guest1 4001 -1000000000
}

test_pv_clock() {
  local name="PV clock"

  pretend_pv_clock
  PROCFS_PATH="${out}/proc" record "${out}/pv" -a -e cpu-clock || fail "${name}" "record"
  merge 0 "${out}/pv,pid=4005" || fail "${name}" "status"
  says "clock: pv, off by at most 2 ns" || fail "${name}" "text"
  check_counts "${name}" pv 4005
  check_times "${name}" pv 4005 -42
}

# The header tells of which machines the file is, in 80 columns.
test_machines() {
  local name="Machines" nr

  nr=$(count "${out}/guest1")
  head -c $(($(stat -c %s "${out}/guest2") / 2)) "${out}/guest2" > "${out}/bad"
  printf 'pv 0 10\npv 20 unknown\npv 30 -40\n' > "${out}/table"
  merge 3 "${out}/guest1,pid=4001,name=vm1,readings=${out}/table,threads=41:42" \
    "${out}/bad,pid=2147483647,pv-offset=0" || fail "${name}" "status"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "^# +host +- +- +- +[0-9]+ +$(count "${out}/host") +[0-9]+$" \
    "^# +4001 vm1 +$(getconf _NPROCESSORS_ONLN) pv +2 ns +[0-9]+ +${nr} +[0-9]+$" \
    "^# +2147483647 +[0-9?]+ pv +2 ns +[0-9]+ +[0-9]+ +[0-9]+$" \
    "clock's offset: 10 from 0, unknown from 20, -40 from 30" "threads of vCPUs: 0 is 41" \
    "its recording was cut off or damaged" || fail "${name}" "text"
  sed -n '/^# machines/,/^# missing/p' "${out}/stdout" | grep -v "^# missing" | grep -E '.{81}' &&
    fail "${name}" "wide lines"
  # What perf inject makes of it still has them.
  perf inject -i "${out}/merged" -o "${out}/injected" > "${out}/log" 2>&1 ||
    fail "${name}" "inject"
  run 0 perf report -i "${out}/injected" --header-only || fail "${name}" "header after inject"
  says "^# +4001 vm1 +" || fail "${name}" "text after inject"
}

# perf kvm report and script show the VM and vCPU, and the host beside the guests.
test_report() {
  local name="Report" nr

  merge 0 "${out}/guest1,pid=4001,name=vm1,pv-offset=0" "${out}/guest2,pid=4002,pv-offset=0" ||
    fail "${name}" "status"
  run 0 perf kvm report -i "${out}/merged" --stdio -g none || fail "${name}" "report"
  says "^# .* VM +vCPU +Command +Shared Object +Symbol" "% +host {2,}" "% +vm1 +0 " \
    "% +VM 4002 +([?]|0) " || fail "${name}" "columns"
  run 0 perf kvm -i "${out}/merged" report --stdio -g none --no-children -s vm ||
    fail "${name}" "report with keys"
  [ "$(grep -Ec '^ +100.00% +(host|vm1|VM 4002) *$' "${out}/stdout")" -ge 3 ] ||
    fail "${name}" "keys"
  nr=$(count "${out}/guest1")
  run 0 perf kvm script -i "${out}/merged" -G || fail "${name}" "script"
  [ "$(grep -c '^VM: 4001 vm1 VCPU:0' "${out}/stdout")" -eq "${nr}" ] || fail "${name}" "VMs"
  grep -q '^VM: 4002 VCPU:' "${out}/stdout" || fail "${name}" "VM without a name"
  run 0 perf kvm -i "${out}/merged" script -F time || fail "${name}" "script with fields"
  grep -q "VM:" "${out}/stdout" && fail "${name}" "fields"
  # All else is as it was.
  run 0 perf kvm --host report -i "${out}/host" --stdio -g none || fail "${name}" "host"
  grep -q "vCPU" "${out}/stdout" && fail "${name}" "columns of a file that is not merged"
  # Without a name of a file, the merged one is taken if it is there.
  mkdir -p "${out}/dir"
  cp "${out}/merged" "${out}/dir/perf.data.kvm"
  (cd "${out}/dir" && run 0 perf kvm report --stdio -g none && says " VM +vCPU ") ||
    fail "${name}" "default file"
}

# A group that is read with each sample, and a file of one event without identifiers.
test_formats() {
  local name="Formats"

  merge 0 "${out}/group,pid=4003,pv-offset=0" "${out}/single,pid=4004,pv-offset=0" ||
    fail "${name}" "status"
  check_counts "${name}" group 4003 single 4004
  mv "${out}/host" "${out}/host.orig"
  cp "${out}/single" "${out}/host"
  merge 0 "${out}/group,pid=4003,pv-offset=0" || fail "${name}" "status with host of one event"
  check_counts "${name}" group 4003
  mv "${out}/host.orig" "${out}/host"
}

test_refusals() {
  local name="Refusals" what

  rm -f "${out}/merged"
  merge 1 "${out}/guest1,pid=4001" || fail "${name}" "status without alignment"
  says "cannot be aligned" "pv-offset=" "tsc-offset=" || fail "${name}" "no alignment"
  # On a machine whose clock is its TSC, this would work.
  if ! perf script -i "${out}/guest1" -D 2> /dev/null | grep -q "RECORD_TIME_CONV"
  then
    merge 1 "${out}/guest1,pid=4001,clock=tsc,tsc-offset=0" || fail "${name}" "status of tsc"
    says "TIME_CONV" || fail "${name}" "tsc"
  fi
  echo text > "${out}/text"
  merge 1 "${out}/text,pid=1,pv-offset=0" || fail "${name}" "status of text"
  says "too short" || fail "${name}" "text"
  for what in "pid=0" "pid=x" "name=a b" "clock=best" "color=1" "pv-offset=x" "threads=1:" \
    "threads=x" "threads="
  do
    merge 129 "${out}/guest1,pid=4001,${what}" || fail "${name}" "${what}"
  done
  [ -e "${out}/merged" ] && fail "${name}" "there is an output"
  run 1 perf kvm merge "${out}/host" --guest="${out}/guest1,pid=1,pv-offset=0" -o "${out}/host" ||
    fail "${name}" "output is input"
}

# One guest's file does not keep the others from being merged, if that is wanted.
test_keep_going() {
  local name="Keep going"

  echo text > "${out}/bad"
  merge 1 "${out}/bad,pid=1,pv-offset=0" "${out}/guest1,pid=4001,pv-offset=0" ||
    fail "${name}" "status without it"
  run 3 perf kvm merge -k "${out}/host" --guest="${out}/bad,pid=1,name=bad,pv-offset=0" \
    --guest="${out}/guest2,pid=4002" --guest="${out}/none,pid=2,pv-offset=0" \
    --guest="${out}/guest1,pid=4001,pv-offset=0" -o "${out}/merged" || fail "${name}" "status"
  says "bad: its header cannot be read" "guest2: its times cannot be aligned" \
    "none: cannot be opened" "left out: all of it" || fail "${name}" "text"
  check_counts "${name}" guest1 4001
  [ "$(count "${out}/merged" "VM: ")" -eq "$(count "${out}/guest1")" ] ||
    fail "${name}" "samples of others"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "^# +1 bad +[?] - +- +0 +0 +0" "left out: all of it" || fail "${name}" "text of header"
}

# However short a guest's file is cut, there is an error or the part that is good.
test_truncated() {
  local name="Truncated" size length

  size=$(stat -c %s "${out}/guest1")
  for length in 0 1 16 100 104 200 $((size / 4)) $((size / 2)) $((size - 1000)) $((size - 1))
  do
    head -c "${length}" "${out}/guest1" > "${out}/bad"
    check_bad "${name}" "${length} bytes" 1 3
  done
}

# poke OFFSET BYTES: into a copy of the guest's file
poke() {
  cp "${out}/guest1" "${out}/bad"
  printf '%b' "$2" | dd of="${out}/bad" bs=1 seek="$1" conv=notrunc status=none
}

test_lies() {
  local name="Lies" offset size i

  # The header's fields, each as large as can be, and zero
  for offset in 8 16 24 32 40 48
  do
    for i in '\0377\0377\0377\0377\0377\0377\0377\0377' '\0\0\0\0\0\0\0\0'
    do
      poke "${offset}" "${i}"
      check_bad "${name}" "field at ${offset}" 0 1 3
    done
  done

  # All over the records: sizes, ids, CPUs
  size=$(stat -c %s "${out}/guest1")
  for i in $(seq 1 8)
  do
    poke $((i * size / 9 / 8 * 8)) '\0377\0377\0377\0177\0377\0377\0377\0377'
    check_bad "${name}" "part ${i}" 0 1 3
  done
}

record "${out}/host" -a -g -e cpu-clock,page-faults || {
  echo "Skip: this user may not record the whole machine"
  exit 2
}
record "${out}/guest1" -a -g -e cpu-clock,page-faults || exit 2
record "${out}/guest2" -g -e cpu-clock,page-faults,context-switches || exit 2
record "${out}/group" -a -e '{cpu-clock,page-faults}:S' || exit 2
record "${out}/single" -a -e cpu-clock || exit 2

test_two_guests
check_order "Order"
check_content "Content" guest1 4001
check_content "Content" guest2 4002
test_cpumode
test_vcpus
test_offset
test_pv_clock
test_machines
test_report
test_formats
test_refusals
test_keep_going
test_truncated
test_lies
exit ${err}
