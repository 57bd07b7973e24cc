# SPDX-License-Identifier: GPL-2.0
# What the tests of perf kvm merge share: recordings to merge, and checks of the result.
#
# shellcheck shell=bash

out=${out:?}
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"

# record FILE OPTION...: what is recorded is the same work each time
record() {
  local file=$1
  shift
  perf record -q -o "${file}" "$@" -- perf bench sched messaging -g 1 -l 200 > "${out}/log" 2>&1
}

# record_pipe FILE OPTION...: likewise, in the format of pipes. The work says nothing there.
record_pipe() {
  local file=$1
  shift
  perf record -q -o - "$@" -- sh -c 'perf bench sched messaging -g 1 -l 200 > /dev/null 2>&1' \
    2> "${out}/log" | cat > "${file}"
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
  local status=$1 guests=() guest
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

# check_order NAME: the merged samples are in the order of time, for every reader
check_order() {
  perf script -i "${out}/merged" -G -F time --ns 2> /dev/null | tr -d ' :.' > "${out}/times"
  sort -n -c "${out}/times" || fail "$1" "times"
  run 0 perf report -i "${out}/merged" --stats || fail "$1" "report"
  grep -q "out of order" "${out}/stdout" "${out}/stderr" && fail "$1" "records out of order"
}

# Lines of samples, and addresses of the callchains: of the kernel without symbols.
only_user() {
  sed -E -e '/^$/d' -e 's/^[[:space:]]+(f{4}[0-9a-f]+) .*/\1/' -e 's/[[:space:]]+/ /g'
}

# check_content NAME FILE PID: callchains, commands and symbols of user space are those of
# the guest's own file
check_content() {
  # A paragraph is a sample with its callchain; symbols of a guest's kernel need its files.
  perf script -i "${out}/merged" -F machine_pid,comm,pid,tid,period,event,ip,sym,dso \
    2> /dev/null | awk -v RS= -v vm="VM: *$3 " '$0 ~ vm { sub(vm, ""); print }' |
    sed 's/@vm1//' | only_user > "${out}/got"
  samples "${out}/$2" | only_user > "${out}/expected"
  cmp -s "${out}/got" "${out}/expected" && [ -s "${out}/got" ] && return
  diff "${out}/expected" "${out}/got" | head
  fail "$1" "content of $2"
}

# What a file's samples of tracepoints say, as a guest's or as its own
fields() {
  perf script -i "$1" -G -F event,trace 2> /dev/null | grep "sched:" | sed 's/@vm1//'
}

guest_fields() {
  perf script -i "${out}/merged" -G -F machine_pid,event,trace 2> /dev/null | grep "VM:.*sched" |
    sed -E 's/VM: *[0-9]+ (VCPU:[0-9]+)? *//; s/@vm1//'
}

# Without the blanks, of which there are more or less of before an event's name
same_fields() {
  sed -E 's/^[[:space:]]+//' | sort > "${out}/got"
  sed -E 's/^[[:space:]]+//' "$1" | sort > "${out}/expected"
  [ -s "${out}/got" ] && cmp -s "${out}/got" "${out}/expected" && return
  diff "${out}/expected" "${out}/got" | head -4
  return 1
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

# The clock that a guest's header tells of: made of files, as in kvm_perf_clock.sh
pretend_pv_clock() {
  local sysctl=/proc/sys/kernel/perf_pv_clock entry

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
}

# check_bad NAME WHAT STATUS...: a merge with the file bad ends with one of these, if
# with an error with a message, and else with all samples of the host in the output
check_bad() {
  local name=$1 what=$2 status=0
  shift 2
  perf kvm merge "${out}/host" --guest="${out}/bad,pid=4001,pv-offset=0" -o "${out}/merged" \
    > "${out}/stdout" 2> "${out}/stderr" || status=$?
  case " $* " in
  *" ${status} "*) ;;
  *) fail "${name}" "status ${status} of ${what}" ;;
  esac
  if [ ${status} -eq 1 ]
  then
    [ -s "${out}/stderr" ] || fail "${name}" "no message for ${what}"
    return
  fi
  : "${host_samples:=$(count "${out}/host")}"
  [ "$(perf report -i "${out}/merged" --stats 2> /dev/null |
       sed -n 's/^ *TOTAL events: *//p')" -ge "${host_samples}" ] ||
    fail "${name}" "unreadable with ${what}"
}
