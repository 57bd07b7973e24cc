#!/bin/bash
# perf kvm merge tests
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge.XXXXX)
err=0

cleanup() {
  rm -rf "${out}"
  trap - EXIT TERM INT
}

trap_cleanup() {
  cleanup
  exit 1
}
trap trap_cleanup TERM INT
trap cleanup EXIT

fail() {
  echo "$1 [Failed: $2]"
  err=1
}

# run STATUS COMMAND...: the command must end with this status
run() {
  local expected=$1 status=0
  shift
  "$@" > "${out}/stdout" 2> "${out}/stderr" || status=$?
  [ ${status} -eq "${expected}" ] && return
  echo "'$*' ended with ${status}, expected ${expected}:"
  cat "${out}/stdout" "${out}/stderr"
  return 1
}

# says PATTERN...: each must be in what the last command printed
says() {
  local pattern
  for pattern in "$@"
  do
    grep -Eq -- "${pattern}" "${out}/stdout" "${out}/stderr" && continue
    echo "No '${pattern}' in:"
    cat "${out}/stdout" "${out}/stderr"
    return 1
  done
}


# record FILE OPTION...: what is recorded is the same work each time
record() {
  local file=$1
  shift
  perf record -q -o "${file}" "$@" -- perf bench sched messaging -g 1 -l 200 > "${out}/log" 2>&1
}

# The samples of a file, a line each, without those fields that a merge changes.
samples() {
  perf script -i "$1" -F comm,pid,tid,period,event,ip,sym,dso 2> /dev/null | sed 's/@vm1//'
}

# count FILE [PATTERN]: its samples, or those whose line of machine and event matches
count() {
  perf script -i "$1" -G -F machine_pid,event 2> /dev/null | grep -Ec -- "${2:-:}"
}

# merge STATUS GUEST-OPTIONS...: of the host and guests
merge() {
  local status=$1 guests=()
  shift
  for guest in "$@"
  do
    guests+=("--guest=${guest}")
  done
  run "${status}" perf kvm merge "${out}/host" "${guests[@]}" -o "${out}/merged"
}

# The number of samples of each machine must be what its own file has.
check_counts() {
  local name=$1 nr
  shift
  nr=$(count "${out}/host")
  [ "$(perf script -i "${out}/merged" -G -F machine_pid,event 2> /dev/null |
       grep -vc 'VM:')" -eq "${nr}" ] || fail "${name}" "samples of the host, expected ${nr}"
  while [ $# -ge 2 ]
  do
    nr=$(count "${out}/$1")
    [ "$(count "${out}/merged" "VM: *$2 ")" -eq "${nr}" ] ||
      fail "${name}" "samples of $1, expected ${nr}"
    shift 2
  done
}

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

test_order() {
  local name="Order"

  perf script -i "${out}/merged" -G -F time --ns 2> /dev/null | tr -d ' :.' > "${out}/times"
  sort -n -c "${out}/times" || fail "${name}" "times"
  run 0 perf report -i "${out}/merged" --stats || fail "${name}" "report"
  grep -q "out of order" "${out}/stdout" "${out}/stderr" && fail "${name}" "records out of order"
}

# Callchains, commands and symbols of user space are those of the guest's own file.
test_content() {
  local name="Content" file

  perf script -i "${out}/merged" -F machine_pid,comm,pid,tid,period,event,ip,sym,dso \
    2> /dev/null > "${out}/all"
  for file in guest1:4001 guest2:4002
  do
    # A paragraph is a sample with its callchain; symbols of a guest's kernel need its files.
    awk -v RS= -v vm="VM: *${file#*:} " '$0 ~ vm { sub(vm, ""); print }' "${out}/all" |
      sed 's/@vm1//' | only_user > "${out}/got"
    samples "${out}/${file%:*}" | only_user > "${out}/expected"
    cmp -s "${out}/got" "${out}/expected" && [ -s "${out}/got" ] && continue
    diff "${out}/expected" "${out}/got" | head
    fail "${name}" "${file}"
  done
}

# Lines of samples, and addresses of the callchains: of the kernel without symbols.
only_user() {
  sed -E -e '/^$/d' -e 's/^[[:space:]]+(f{4}[0-9a-f]+) .*/\1/' -e 's/[[:space:]]+/ /g'
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

# check_times NAME FILE PID OFFSET: the times of the guest's samples have moved by this
check_times() {
  perf script -i "${out}/$2" -G -F time --ns 2> /dev/null |
    tr -d ' :.' | awk -v offset="$4" '{ printf "%.0f\n", $1 + offset }' > "${out}/expected"
  perf script -i "${out}/merged" -G -F machine_pid,time --ns 2> /dev/null |
    sed -n "s/VM: *$3 *//p" | tr -d ' :.' | awk '{ printf "%.0f\n", $1 }' > "${out}/got"
  [ -s "${out}/got" ] || fail "$1" "no times"
  cmp "${out}/got" "${out}/expected" || fail "$1" "times"
}

test_offset() {
  local name="Offset"

  merge 0 "${out}/guest1,pid=4001,pv-offset=-1000000000" || fail "${name}" "status"
  check_times "${name}" guest1 4001 -1000000000
}

# The clock that a guest's header tells of: made of files, as in kvm_perf_clock.sh
test_pv_clock() {
  local name="PV clock" sysctl=/proc/sys/kernel/perf_pv_clock entry

  mkdir -p "${out}/proc/sys/kernel"
  for entry in /proc/[!0-9]* /proc/sys/kernel/*
  do
    case "${entry}" in
    /proc/sys | /proc/sys/kernel/perf_pv_clock*) ;;
    *) ln -s "${entry}" "${out}${entry}" ;;
    esac
  done
  echo "page: valid" > "${out}${sysctl}"
  echo "0x00000000deadbeef 7 -42" > "${out}${sysctl}_host"
  PROCFS_PATH="${out}/proc" record "${out}/pv" -a -e cpu-clock || fail "${name}" "record"
  merge 0 "${out}/pv,pid=4005" || fail "${name}" "status"
  says "clock: pv, off by at most 2 ns" || fail "${name}" "text"
  check_counts "${name}" pv 4005
  check_times "${name}" pv 4005 -42
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
  for what in "pid=0" "pid=x" "name=a b" "clock=best" "color=1" "pv-offset=x"
  do
    merge 129 "${out}/guest1,pid=4001,${what}" || fail "${name}" "${what}"
  done
  [ -e "${out}/merged" ] && fail "${name}" "there is an output"
  run 1 perf kvm merge "${out}/host" --guest="${out}/guest1,pid=1,pv-offset=0" -o "${out}/host" ||
    fail "${name}" "output is input"
}

# However short a guest's file is cut, there is an error or the part that is good.
test_truncated() {
  local name="Truncated" size length status

  size=$(stat -c %s "${out}/guest1")
  for length in 0 1 16 100 104 200 $((size / 4)) $((size / 2)) $((size - 1000)) $((size - 1))
  do
    head -c "${length}" "${out}/guest1" > "${out}/cut"
    status=0
    perf kvm merge "${out}/host" --guest="${out}/cut,pid=4001,pv-offset=0" -o "${out}/merged" \
      > "${out}/stdout" 2> "${out}/stderr" || status=$?
    case ${status} in
    1) [ -s "${out}/stderr" ] || fail "${name}" "no message at ${length}" ;;
    3) [ "$(perf script -i "${out}/merged" -G -F machine_pid,event 2> /dev/null |
            grep -vc VM:)" -eq "$(count "${out}/host")" ] || fail "${name}" "host at ${length}" ;;
    *) fail "${name}" "status ${status} at ${length}" ;;
    esac
  done
}

# poke OFFSET BYTES: into a copy of the guest's file
poke() {
  cp "${out}/guest1" "${out}/lie"
  printf '%b' "$2" | dd of="${out}/lie" bs=1 seek="$1" conv=notrunc status=none
}

test_lies() {
  local name="Lies" offset status i

  # The header's fields, each as large as can be, and zero
  for offset in 8 16 24 32 40 48
  do
    for i in '\0377\0377\0377\0377\0377\0377\0377\0377' '\0\0\0\0\0\0\0\0'
    do
      poke "${offset}" "${i}"
      status=0
      perf kvm merge "${out}/host" --guest="${out}/lie,pid=4001,pv-offset=0" \
        -o "${out}/merged" > "${out}/stdout" 2> "${out}/stderr" || status=$?
      case ${status} in
      0 | 3) ;;
      1) [ -s "${out}/stderr" ] || fail "${name}" "no message for ${offset}" ;;
      *) fail "${name}" "status ${status} for ${offset}" ;;
      esac
    done
  done

  # All over the records: sizes, ids, CPUs
  size=$(stat -c %s "${out}/guest1")
  for i in $(seq 1 8)
  do
    poke $((i * size / 9 / 8 * 8)) '\0377\0377\0377\0177\0377\0377\0377\0377'
    status=0
    perf kvm merge "${out}/host" --guest="${out}/lie,pid=4001,pv-offset=0" \
      -o "${out}/merged" > "${out}/stdout" 2> "${out}/stderr" || status=$?
    case ${status} in
    0 | 1 | 3) ;;
    *) fail "${name}" "status ${status} at part ${i}" ;;
    esac
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
test_order
test_content
test_cpumode
test_vcpus
test_offset
test_pv_clock
test_formats
test_refusals
test_truncated
test_lies
exit ${err}
