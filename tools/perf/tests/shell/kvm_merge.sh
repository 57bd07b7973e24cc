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
  says "^cpu-clock$" "^page-faults$" "^context-switches$" || fail "${name}" "names"
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

# renumber FROM TO: the same recording as of a kernel that gave its tracepoints other numbers
renumber() {
  python3 - "$1" "$2" << 'PYTHON'
import re, struct, sys

data = bytearray(open(sys.argv[1], "rb").read())
attr_size, attrs, attrs_size, pos, size = struct.unpack_from("<5Q", data, 16)
raw_at = {}
for attr in range(attrs, attrs + attrs_size, attr_size):
    kind, _, config, _, sample_type = struct.unpack_from("<IIQQQ", data, attr)
    ids, ids_size = struct.unpack_from("<QQ", data, attr + attr_size - 16)
    words = bin(sample_type & 0x101cf | sample_type & 0x200).count("1")
    if kind != 2:
        continue
    for i in range(ids, ids + ids_size, 8):
        raw_at[struct.unpack_from("<Q", data, i)[0]] = 8 + 8 * words + 4
    struct.pack_into("<Q", data, attr + 8, config ^ 1)
end = pos + size
for match in re.finditer(rb"\nID: (\d+)\nformat", data[end:]):
    text = str(int(match[1]) ^ 1).encode()
    if len(text) == len(match[1]):
        data[end + match.start(1):end + match.end(1)] = text
while pos < end:
    kind, _, size = struct.unpack_from("<IHH", data, pos)
    number = struct.unpack_from("<Q", data, pos + 8)[0] if kind == 9 else 0
    if number in raw_at:
        raw = pos + raw_at[number]
        struct.pack_into("<H", data, raw, struct.unpack_from("<H", data, raw)[0] ^ 1)
    pos += size
open(sys.argv[2], "wb").write(data)
PYTHON
}

# change FROM TO OLD NEW: bytes of a guest's formats
change() {
  python3 - "$@" << 'PYTHON'
import sys

old, new = (arg.encode().decode("unicode_escape").encode() for arg in sys.argv[3:5])
data = open(sys.argv[1], "rb").read()
assert old in data and len(old) >= len(new), (old, new)
open(sys.argv[2], "wb").write(data.replace(old, new.ljust(len(old))))
PYTHON
}

test_tracepoints() {
  local name="Tracepoints"

  mv "${out}/host" "${out}/host.orig"
  cp "${out}/trace" "${out}/host"
  merge 0 "${out}/trace2,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  fields "${out}/trace2" > "${out}/fields"
  guest_fields | same_fields "${out}/fields" || fail "${name}" "fields of the guest"
  fields "${out}/trace" > "${out}/fields"
  perf script -i "${out}/merged" -G -F machine_pid,event,trace 2> /dev/null | grep -v "VM:" |
    grep "sched:" | same_fields "${out}/fields" || fail "${name}" "fields of the host"
  run 0 perf report -i "${out}/merged" --stdio || fail "${name}" "report"
  says "sched:sched_wakeup@vm1" || fail "${name}" "names"

  if command -v python3 > /dev/null
  then
    # sched_switch has the number that is sched_wakeup's on the host, or nobody's.
    renumber "${out}/trace2" "${out}/other"
    merge 0 "${out}/other,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status, other numbers"
    fields "${out}/trace2" > "${out}/fields"
    guest_fields | same_fields "${out}/fields" || fail "${name}" "other numbers"
  else
    echo "Skip: tracepoints with other numbers need python3"
  fi
  mv "${out}/host.orig" "${out}/host"

  # A host without any, and two guests of the same ones
  merge 0 "${out}/trace2,pid=4001,pv-offset=0" "${out}/trace,pid=4002,pv-offset=0" ||
    fail "${name}" "status with a host without"
  { fields "${out}/trace2"; fields "${out}/trace"; } > "${out}/fields"
  guest_fields | same_fields "${out}/fields" || fail "${name}" "a host without"

  # Formats are at the end of a file.
  head -c "$(($(stat -c %s "${out}/trace2") / 2))" "${out}/trace2" > "${out}/cut"
  merge 3 "${out}/cut,pid=4001,pv-offset=0" || fail "${name}" "status of a cut file"
  says "the format of its tracepoint" "samples of tracepoints" || fail "${name}" "cut file"
  run 0 perf script -i "${out}/merged" || fail "${name}" "cut file cannot be read"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header of a cut file"
  says "left out: [0-9]+ samples without usable formats" || fail "${name}" "text of header"

  # Of a guest that is left out there are no formats either.
  run 3 perf kvm merge -k "${out}/host" --guest="${out}/trace2,pid=4001,name=bad" \
    --guest="${out}/trace,pid=4002,name=good,pv-offset=0" -o "${out}/merged" ||
    fail "${name}" "status with one that is left out"
  grep -q sched_good "${out}/merged" || fail "${name}" "formats"
  grep -q sched_bad "${out}/merged" && fail "${name}" "formats of what is left out"
}

# A guest's kernel says what it wants of its formats: the merged file is sound in any case.
test_formats_of_guests() {
  local name="Formats of guests" lies lie status=0
  local args="REC->comm, REC->pid, REC->prio, REC->target_cpu"

  command -v python3 > /dev/null || {
    echo "Skip: lies in formats need python3"
    return
  }
  # None longer than what it replaces
  lies=(
    "comm=%s pid=%d|comm=%n pid=%s"
    "prio=%d target|prio=%*dtarget"
    "${args}|__print_hex(REC->comm, 99999999999999)"
    "${args}|REC->comm[99], REC->pid / 0, 1 ? ? : ,,,"
    "${args}|((((((((((((((((((((((((((((((((((((((((("
    "${args}|REC->comm + + REC->pid ? : ? ( ) , { } , "
    "${args}|__get_str(comm), __get_dynamic_array(pid)"
    "char comm[16];\toffset:8;|char comm[16];\toffset:9;"
    "char comm[16];|char comm[99];"
    "name: sched_wakeup|name: sched/wakeup"
    "int target_cpu;|../ target_cpu;"
  )
  for lie in "${lies[@]}"
  do
    change "${out}/trace2" "${out}/lie" "${lie%|*}" "${lie#*|}" || {
      fail "${name}" "${lie}"
      continue
    }
    status=0
    perf kvm merge "${out}/host" --guest="${out}/lie,pid=4001,pv-offset=0" -o "${out}/merged" \
      > "${out}/stdout" 2> "${out}/stderr" || status=$?
    case ${status} in
    0 | 3) ;;
    *) fail "${name}" "status ${status} of ${lie}" ;;
    esac
    run 0 perf script -i "${out}/merged" || fail "${name}" "${lie}"
    # Only that tracepoint may be left out.
    [ "$(count "${out}/merged" "VM:.*sched_switch")" -eq \
      "$(count "${out}/trace2" sched_switch)" ] ||
      fail "${name}" "samples of ${lie}"
  done
}

# perf crashes on what it does not expect of a guest: that is left out.
test_unreadable() {
  local name="Unreadable"

  record "${out}/cgroups" -a --all-cgroups --namespaces -e cpu-clock || {
    echo "Skip: cgroups cannot be recorded here"
    return
  }
  # No sample needs them, so that is no failure.
  merge 0 "${out}/cgroups,pid=4001,pv-offset=0" || fail "${name}" "status"
  says "left out: [0-9]+ records of a guest's cgroups" || fail "${name}" "text"
  check_counts "${name}" cgroups 4001
  run 0 perf report -i "${out}/merged" --stdio || fail "${name}" "report"
  run 0 perf report -i "${out}/merged" --stdio -s cgroup || fail "${name}" "report by cgroup"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "left out: [0-9]+ records of cgroups and BPF programs" || fail "${name}" "text of header"
}

has_tracepoints() {
  record "${out}/trace" -a -e sched:sched_switch,sched:sched_wakeup,cpu-clock &&
    record "${out}/trace2" -a -e sched:sched_wakeup,sched:sched_switch,page-faults
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
test_unreadable
if has_tracepoints
then
  test_tracepoints
  test_formats_of_guests
else
  echo "Skip: tracepoints: this user, or this kernel, cannot record them"
fi
exit ${err}
