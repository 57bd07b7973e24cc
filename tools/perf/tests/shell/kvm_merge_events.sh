#!/bin/bash
# perf kvm merge tests of events that host and guests share
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge_events.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

# use_host FILE: what the guests are merged with
use_host() {
  cp "${out}/$1" "${out}/host"
}

# lists NAME EVENT...: the merged file must have these, in their order, and no others
lists() {
  local name=$1
  shift
  perf evlist -i "${out}/merged" 2> /dev/null | grep -v "^dummy" > "${out}/got"
  printf '%s\n' "$@" > "${out}/expected"
  cmp -s "${out}/got" "${out}/expected" && return
  diff "${out}/expected" "${out}/got"
  fail "${name}" "lists"
}

# count_event FILE EVENT [PATTERN]: samples of this event
count_event() {
  perf script -i "${out}/$1" -G -F machine_pid,event 2> /dev/null | grep -E -- "${3:-:}" |
    grep -Ec "(^| )$2: *$"
}

# reported EVENT: the samples that perf report counts in the one list of this event
reported() {
  perf report -i "${out}/merged" --stdio -g none --no-children -F sample,sym 2> /dev/null |
    awk -v event="'$1'" '/^# Samples/ { on = $NF == event; lists += on }
      on && /^ +[0-9]+ / { sum += $1 } END { print lists + 0, sum + 0 }'
}

# vm_sum VM: of the samples that perf kvm report counts for a machine
vm_sum() {
  awk -v vm="$1" '$2 == vm { sum += $1 } END { print sum + 0 }' "${out}/stdout"
}

# perf report has host and guests in one list, with every sample of each.
test_one_list() {
  local name="One list" host guest1 guest2 vcpus

  use_host all
  merge 0 "${out}/all1,pid=4001,name=vm1,pv-offset=0" \
    "${out}/pipe,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status"
  lists "${name}" cpu-clock page-faults
  [ "$(grep -c "under the host's events: cpu-clock, page-faults, dummy" "${out}/stdout")" -ge 1 ] ||
    fail "${name}" "text"
  check_counts "${name}" all1 4001 pipe 4002
  check_order "${name}"
  check_content "${name}" all1 4001
  check_content "${name}" pipe 4002
  host=$(count_event all cpu-clock)
  guest1=$(count_event all1 cpu-clock)
  guest2=$(count_event pipe cpu-clock)
  [ "$(reported cpu-clock)" = "1 $((host + guest1 + guest2))" ] ||
    fail "${name}" "perf report has $(reported cpu-clock), not ${host}+${guest1}+${guest2}"
  [ "$(count_event merged cpu-clock "VM: *4001 ")" -eq "${guest1}" ] || fail "${name}" "guest 1"
  [ "$(count_event merged cpu-clock "VM: *4002 ")" -eq "${guest2}" ] || fail "${name}" "guest 2"

  # Both events' samples by machine
  run 0 perf kvm -i "${out}/merged" report --stdio -g none --no-children -F sample,vm ||
    fail "${name}" "perf kvm report"
  [ "$(vm_sum host)" -eq "$(count "${out}/all")" ] || fail "${name}" "samples of the host"
  [ "$(vm_sum vm1)" -eq "$(count "${out}/all1")" ] || fail "${name}" "samples of vm1"
  [ "$(vm_sum vm2)" -eq "$(count "${out}/pipe")" ] || fail "${name}" "samples of vm2"
  vcpus=$(perf script -i "${out}/merged" -G -F machine_pid,vcpu,cpu 2> /dev/null |
    sed -n -E 's/.*VM: *4001 VCPU:([0-9]+) \[([0-9]+)\].*/\1 \2/p' | awk '$1 == $2' | wc -l)
  [ "${vcpus}" -eq "$(count "${out}/all1")" ] || fail "${name}" "vCPUs"

  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "under the host's events: cpu-clock, page-faults" || fail "${name}" "text of header"
}

# The kernels of host and guest are not one, though here they have the same functions.
test_kernels() {
  local name="Kernels"

  perf script -i "${out}/all" -F ip,sym,dso 2> /dev/null | grep -q "kernel.kallsyms" || {
    echo "Skip: no samples of the kernel"
    return
  }
  use_host all
  merge 0 "${out}/all1,pid=4001,pv-offset=0" || fail "${name}" "status"
  run 0 perf report -i "${out}/merged" --stdio -g none --no-children -s dso ||
    fail "${name}" "report"
  says "% +\[kernel.kallsyms\]" "% +\[guest.kernel.kallsyms.4001\]" || fail "${name}" "names"
}

test_separate() {
  local name="Separate"

  use_host all
  run 0 perf kvm merge --separate-events "${out}/host" -o "${out}/merged" \
    --guest="${out}/all1,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  grep -q "under the host's events" "${out}/stdout" && fail "${name}" "text"
  lists "${name}" cpu-clock page-faults cpu-clock@vm1 page-faults@vm1
  check_counts "${name}" all1 4001
  [ "$(reported cpu-clock)" = "1 $(count_event all cpu-clock)" ] || fail "${name}" "host's list"
}

# Files with no ids, with PERF_SAMPLE_ID and with PERF_SAMPLE_IDENTIFIER, under each other
test_ids() {
  local name="Ids" host guest

  for host in none id ident
  do
    use_host ${host}
    for guest in none id ident
    do
      merge 0 "${out}/${guest},pid=4001,name=vm1,pv-offset=0" ||
        fail "${name}" "status of ${guest} under ${host}"
      perf evlist -i "${out}/merged" 2> /dev/null | grep -q "cpu-clock@" &&
        fail "${name}" "${guest} is not under ${host}"
      check_counts "${name} ${guest} ${host}" ${guest} 4001
      check_content "${name} ${guest} ${host}" ${guest} 4001
      check_order "${name} ${guest} ${host}"
    done
  done
}

# A sample without a period has the one that the guest's event was recorded with.
test_periods() {
  local name="Periods"

  use_host id
  merge 0 "${out}/count,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  lists "${name}" cpu-clock page-faults
  check_content "${name}" count 4001
  perf script -i "${out}/merged" -F machine_pid,period -G 2> /dev/null |
    sed -n 's/VM: *4001 *//p' | grep -vq "^ *777777 *$" && fail "${name}" "of samples"

  # There is no place for a period, or for another one.
  use_host count
  merge 0 "${out}/none,pid=4001,name=vm1,pv-offset=0" \
    "${out}/count2,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status, host without"
  lists "${name}" cpu-clock cpu-clock@vm1 cpu-clock@vm2
  check_content "${name}" none 4001
  merge 0 "${out}/count,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status of the same"
  lists "${name}" cpu-clock
  check_content "${name}" count 4001
}

# What is not the same event, or has samples of another form, has a list of its own.
test_others() {
  local name="Others"

  use_host none
  merge 0 "${out}/user,pid=4001,name=vm1,pv-offset=0" \
    "${out}/flat,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status"
  lists "${name}" cpu-clock cpu-clock:u@vm1 cpu-clock@vm2
  check_content "${name}" user 4001
  # Of two, each is under one.
  use_host twice
  merge 0 "${out}/twice,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status of two"
  lists "${name}" cpu-clock cpu-clock
  use_host none
  merge 0 "${out}/twice,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status of one"
  lists "${name}" cpu-clock cpu-clock@vm1
}

test_join() {
  local name="Join" sum

  use_host none
  run 0 perf kvm merge "${out}/host" --join-events=cpu-clock+task-clock -o "${out}/merged" \
    --guest="${out}/task,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  says "under the host's events: task-clock under cpu-clock" || fail "${name}" "text"
  lists "${name}" cpu-clock
  check_counts "${name}" task 4001
  sum=$(($(count "${out}/none") + $(count "${out}/task")))
  [ "$(reported cpu-clock)" = "1 ${sum}" ] || fail "${name}" "samples in the list"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "under the host's events: task-clock under cpu-clock" || fail "${name}" "text of header"
  # Not both of a guest's under one, unless that is wanted
  run 0 perf kvm merge "${out}/host" --join-events=cpu-clock+task-clock -o "${out}/merged" \
    --guest="${out}/clocks,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status of both"
  lists "${name}" cpu-clock cpu-clock@vm1

  # What cannot be joined is said, and has a list of its own.
  run 0 perf kvm merge "${out}/host" --join-events=cpu-clock+cycles -o "${out}/merged" \
    --join-events=cycles+task-clock --join-events=cpu-clock+cpu-clock:u \
    --guest="${out}/task,pid=4001,name=vm1,pv-offset=0" \
    --guest="${out}/flatuser,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status of others"
  says "task: has no event 'cycles'" "host: has no event 'cycles'" \
    "flatuser: its event 'cpu-clock:u' is kept apart" || fail "${name}" "warnings"
  lists "${name}" cpu-clock task-clock@vm1 cpu-clock:u@vm2
  for sum in "" + x x+ +x a+b+c
  do
    run 129 perf kvm merge "${out}/host" --join-events="${sum}" -o "${out}/none.merged" \
      --guest="${out}/task,pid=4001,pv-offset=0" || fail "${name}" "status of '${sum}'"
  done
}

# A guest whose file has no names any more, as it is cut off
test_cut() {
  local name="Cut"

  use_host all
  head -c $(($(stat -c %s "${out}/all1") / 2)) "${out}/all1" > "${out}/cut"
  merge 3 "${out}/cut,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  lists "${name}" cpu-clock page-faults
  run 0 perf report -i "${out}/merged" --stdio || fail "${name}" "report"
}

record "${out}/all" -a -g -e cpu-clock,page-faults || {
  echo "Skip: this user may not record the whole machine"
  exit 2
}
record "${out}/all1" -a -g -e cpu-clock,page-faults || exit 1
record_pipe "${out}/pipe" -a -g -e cpu-clock,page-faults || exit 1
record "${out}/none" -g -e cpu-clock || exit 1
record "${out}/id" -g -e cpu-clock,page-faults || exit 1
record "${out}/ident" -g --sample-identifier -e cpu-clock,page-faults || exit 1
record "${out}/count" -g -c 777777 -e cpu-clock || exit 1
record "${out}/count2" -g -c 888888 -e cpu-clock || exit 1
record "${out}/user" -g -e cpu-clock:u || exit 1
record "${out}/flat" -e cpu-clock || exit 1
record "${out}/flatuser" -e cpu-clock:u || exit 1
record "${out}/twice" -g -e cpu-clock -e cpu-clock || exit 1
record "${out}/task" -g -e task-clock || exit 1
record "${out}/clocks" -g -e task-clock,cpu-clock || exit 1

test_one_list
test_kernels
test_separate
test_ids
test_periods
test_others
test_join
test_cut
exit ${err}
