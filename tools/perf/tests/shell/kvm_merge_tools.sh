#!/bin/bash
# perf kvm merge tests of perf's other tools on a merged file
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge_tools.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

# What perf kvm record makes: the merged file beside the symbols of the guests' kernels
make_directory() {
  mkdir -p "${out}/dir/kcore_dir__4001"
  cp "${out}/merged" "${out}/dir/data"
  cat > "${out}/dir/kcore_dir__4001/kallsyms"
}

# A program of the guest, whose function has the samples
record_hot() {
  cat > "${out}/hot.c" << 'PROGRAM'
volatile unsigned long sum;

__attribute__((noinline)) void hot_in_the_guest(void)
{
	for (unsigned long i = 0; i < 300000000; i++)
		sum += i;
}

int main(void)
{
	hot_in_the_guest();
	return 0;
}
PROGRAM
  ${CC:-cc} -g -O1 -o "${out}/hot" "${out}/hot.c" > "${out}/log" 2>&1 &&
    command -v objdump > /dev/null &&
    perf record -q -o "${out}/guest-hot" -e cpu-clock:u "${out}/hot" > "${out}/log" 2>&1
}

# The lines of code with the share of samples of each
annotated() {
  perf annotate -i "$1" --stdio -s hot_in_the_guest 2> "${out}/stderr" |
    grep -E '^ +[0-9]+\.[0-9]+ +:'
}

test_annotate() {
  local name="Annotate"

  record_hot || {
    echo "Skip: annotate needs a compiler and objdump"
    return
  }
  merge 0 "${out}/guest-hot,pid=4003,name=vm3,pv-offset=0" || fail "${name}" "status"
  run 0 perf annotate -i "${out}/merged" --stdio -s hot_in_the_guest || fail "${name}" "annotate"
  says "cpu-clock:u@vm3 \([1-9][0-9]* samples" || fail "${name}" "samples"
  annotated "${out}/guest-hot" > "${out}/expected"
  annotated "${out}/merged" > "${out}/got"
  if ! [ -s "${out}/got" ] || ! cmp -s "${out}/expected" "${out}/got"
  then
    diff "${out}/expected" "${out}/got" | head
    fail "${name}" "shares"
  fi
}

# changes: of the lines of the last perf diff: all, of both files, that differ
changes() {
  awk '/^#/ { next } $1 ~ /%$/ { all++ } $2 ~ /^[+-][0-9.]+%$/ { both++; differ += $2 !~ /0\.00%/ }
    END { print all + 0, both + 0, differ + 0 }' "${out}/stdout"
}

# check_diff NAME FILE: of it and itself, and of the host's and it
check_diff() {
  local all both differ

  run 0 perf diff "$2" "$2" || fail "$1" "with itself"
  [ "$(grep -Ec "^# Event '(cpu-clock|page-faults|sched:sched_switch@vm2)'" "${out}/stdout")" -eq \
    "$((2 + tracepoints))" ] || fail "$1" "events"
  read -r all both differ < <(changes)
  [ "${all}" -gt 0 ] || fail "$1" "with itself: no lines"
  [ "${both} ${differ}" = "${all} 0" ] ||
    fail "$1" "with itself: ${all} lines, ${both} of both, ${differ} differ"
  # Guests' samples may not be there, but are never the host's.
  run 0 perf diff -s dso "${out}/host" "$2" || fail "$1" "with the host's"
  grep -E "%.*%.*guest.kernel" "${out}/stdout" && fail "$1" "the guest's kernel is the host's"
  says "% +[+-][0-9.]+% +\[kernel.kallsyms\]" || fail "$1" "the host's kernel"
}

# to_json FILE: a line for each sample, of its time, process, thread and addresses
to_json() {
  run 0 perf data convert --force --to-json "${out}/json" -i "$1" || return
  python3 - "${out}/json" << 'PYTHON'
import json, sys

for s in json.load(open(sys.argv[1]))["samples"]:
    chain = [call["ip"] for call in s["callchain"]]
    fields = [s.get(name) for name in ("prev_pid", "next_comm")]
    print(s["timestamp"], s["pid"], s["tid"], *chain, *fields)
PYTHON
}

# check_json NAME FILE
check_json() {
  to_json "$2" > "${out}/got" || fail "$1" "cannot be converted"
  sort -o "${out}/got" "${out}/got"
  [ -s "${out}/got" ] && cmp -s "${out}/expected.json" "${out}/got" && return
  diff "${out}/expected.json" "${out}/got" | head -4
  fail "$1" "samples"
}

test_json() {
  local name="JSON" file

  perf data convert -h 2>&1 | grep -q "to-json" || {
    echo "Skip: perf was built without the conversion to JSON"
    return
  }
  command -v python3 > /dev/null || {
    echo "Skip: JSON is read by python3"
    return
  }
  for file in host guest1 guest2
  do
    to_json "${out}/${file}"
  done | sort > "${out}/expected.json"
  check_json "${name}" "${out}/merged"
  check_json "${name} of a directory" "${out}/dir"
}

# What a handler for all events is called with, and one for a guest's tracepoint by its name
write_script() {
  cat > "${out}/$1.py" << PYTHON
def process_event(param):
    print("event", param["ev_name"])


def $1__sched_switch(name, context, cpu, secs, nsecs, pid, comm, chain, prev_comm, prev_pid,
                     prev_prio, prev_state, next_comm, next_pid, next_prio):
    print("switch", secs, nsecs, cpu, pid, prev_comm, prev_pid, prev_prio, prev_state, next_comm,
          next_pid, next_prio)
PYTHON
}

# check_script NAME FILE: handlers get what those for the guest's own file get
check_script() {
  run 0 perf script -s "${out}/sched_vm2.py" -i "$2" || fail "$1" "status"
  grep "^switch" "${out}/stdout" | sort > "${out}/got"
  if ! [ -s "${out}/got" ] || ! cmp -s "${out}/switches" "${out}/got"
  then
    diff "${out}/switches" "${out}/got" | head -4
    fail "$1" "the handler of a tracepoint"
  fi
  [ "$(grep -c "^event cpu-clock" "${out}/stdout")" -eq \
    "$(count "${out}/merged" "cpu-clock")" ] || fail "$1" "the handler of all others"
  grep -q "^event sched" "${out}/stdout" && fail "$1" "tracepoints without their handler"
}

test_script() {
  local name="Script"

  perf version --build-options 2> /dev/null | grep -q "libpython: \[ on" || {
    echo "Skip: perf was built without libpython"
    return
  }
  [ ${tracepoints} -eq 1 ] || {
    echo "Skip: scripts for tracepoints: this user, or this kernel, cannot record them"
    return
  }
  write_script sched
  write_script sched_vm2
  run 0 perf script -s "${out}/sched.py" -i "${out}/guest2" || fail "${name}" "the guest's own"
  grep "^switch" "${out}/stdout" | sort > "${out}/switches"
  check_script "${name}" "${out}/merged"
  check_script "${name} of a directory" "${out}/dir"
}

# Readers take a directory as they take the file that is in it.
test_directory() {
  local name="Directory"

  perf script -i "${out}/merged" -G -F machine_pid,comm,tid,time,event,ip > "${out}/expected" \
    2> "${out}/stderr"
  perf script -i "${out}/dir" -G -F machine_pid,comm,tid,time,event,ip > "${out}/got" \
    2> "${out}/stderr" || fail "${name}" "script"
  [ -s "${out}/got" ] || fail "${name}" "no samples"
  cmp -s "${out}/expected" "${out}/got" || fail "${name}" "samples"
  run 0 perf report -i "${out}/dir" --stdio -g none --no-children || fail "${name}" "report"
  # The symbols are those that the directory has of that guest, and not the host's.
  if grep -q "^0*[1-9a-f]" /proc/kallsyms
  then
    grep -q "\[g\] .*_of_vm1" "${out}/stdout" || fail "${name}" "symbols"
  else
    echo "Skip: symbols of a directory: this user may not see the kernel's addresses"
  fi
  grep -q "\[k\] .*_of_vm1" "${out}/stdout" && fail "${name}" "symbols of the host"
}

tracepoints=0
record "${out}/host" -a -g -e cpu-clock,page-faults || {
  echo "Skip: this user may not record the whole machine"
  exit 2
}
record "${out}/guest1" -a -g -e cpu-clock,page-faults || exit 1
record "${out}/guest2" -a -e sched:sched_switch,cpu-clock && tracepoints=1
[ ${tracepoints} -eq 1 ] || record "${out}/guest2" -a -e cpu-clock || exit 1

merge 0 "${out}/guest1,pid=4001,name=vm1,pv-offset=0" \
  "${out}/guest2,pid=4002,name=vm2,pv-offset=0" || fail "Merge" "status"
# The kernel of guest1 has names that the host's does not have.
sed -E '/ _[se]?text$/!s/ ([tTwW]) ([^[:space:]]+)/ \1 \2_of_vm1/' /proc/kallsyms | make_directory
check_diff "Diff" "${out}/merged"
check_diff "Diff of a directory" "${out}/dir"
test_json
test_script
test_directory
test_annotate
exit ${err}
