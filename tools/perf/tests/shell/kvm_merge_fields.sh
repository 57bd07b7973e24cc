#!/bin/bash
# perf kvm merge tests of what samples can have
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge_fields.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

# dump FILE MODES: all that the samples of these cpumodes have, each in a line. Ids and
# places in the file are those of each file.
dump() {
  perf script -D -i "$1" 2> /dev/null | awk -v modes="$2" '
    function flush() { if (block != "") print block; block = "" }
    / PERF_RECORD_/ {
      flush()
      if (/PERF_RECORD_SAMPLE/ && $0 ~ "\\(IP, 0x" modes "\\)") {
        sub(/ 0x[0-9a-f]+ \[0x[0-9a-f]+\]/, ""); sub(/\(IP, 0x[0-9a-f]+\)/, "")
        block = $0
      }
      next
    }
    /^ \.\.\. thread/ { flush() }
    block != "" && /^ ?\.+ / {
      sub(/ id [0-9a-f]+,/, "")
      sub(/, offset 0x[0-9a-f]+$/, "")
      block = block "|" $0
    }
    END { flush() }' | sort
}

# The counts of tasks, without their events' names and ids
reads() {
  perf script -D -i "$1" 2> /dev/null | awk '
    / PERF_RECORD_/ {
      if (line != "") print line
      line = /PERF_RECORD_READ/ ? $1 " " $5 " " $6 " " $NF : ""
      next
    }
    line != "" && /^\.\.\. time/ { line = line " " $NF }
    END { if (line != "") print line }' | sort
}

# check_same NAME: what is in got is what was expected
check_same() {
  [ -s "${out}/got" ] && cmp -s "${out}/expected" "${out}/got" && return
  diff "${out}/expected" "${out}/got" | head -4 | cut -c 1-1000
  fail "$1" "samples: $(wc -l < "${out}/got"), expected $(wc -l < "${out}/expected")"
}

# test_fields NAME PATTERN OPTION...: a guest recorded with these, whose samples have that
test_fields() {
  local name=$1 pattern=$2
  shift 2

  if ! record "${out}/guest" "$@" || ! record "${out}/host.same" "$@"
  then
    echo "Skip: ${name}: this kernel or machine cannot record with $*"
    return
  fi
  dump "${out}/guest" "[0-3]" > "${out}/expected"
  grep -Eq -- "${pattern}" "${out}/expected" || {
    echo "Skip: ${name}: this kernel's samples have none of it"
    return
  }
  # Beside a host whose samples have other fields, and under one whose have the same
  cp "${out}/host.plain" "${out}/host"
  merge 0 "${out}/guest,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  dump "${out}/merged" "[45]" > "${out}/got"
  check_same "${name}"
  dump "${out}/host" "[0-3]" > "${out}/expected.host"
  dump "${out}/merged" "[0-3]" | cmp -s - "${out}/expected.host" || fail "${name}" "the host's"
  cp "${out}/host.same" "${out}/host"
  merge 0 "${out}/guest,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status with the same"
  dump "${out}/merged" "[45]" > "${out}/got"
  check_same "${name} with the same"
}

test_reads() {
  local name="Counts of tasks"

  record "${out}/guest" -s -e cpu-clock,page-faults || {
    echo "Skip: ${name}: this kernel cannot record with -s"
    return
  }
  reads "${out}/guest" > "${out}/expected"
  [ -s "${out}/expected" ] || {
    echo "Skip: ${name}: this kernel wrote none"
    return
  }
  cp "${out}/host.plain" "${out}/host"
  merge 0 "${out}/guest,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  reads "${out}/merged" > "${out}/got"
  check_same "${name}"
}

record "${out}/host.plain" -e cpu-clock,page-faults || {
  echo "Skip: this user may not record"
  exit 2
}
test_fields "Addresses" "addr: 0x[0-9a-f]*[1-9a-f]" -d -e page-faults,cpu-clock
test_fields "Weights" "weight: " -W -e cpu-clock
test_fields "Callchains" "chain: nr:[1-9]" -g -e cpu-clock
test_fields "Stacks" "ustack: size 256" --call-graph dwarf,256 -e cpu-clock
test_fields "Registers of users" "user regs: mask" --user-regs=ip,sp -e cpu-clock
test_fields "Registers" "intr regs: mask" --intr-regs=ip,sp -e cpu-clock
test_fields "Physical addresses" "phys_addr: 0x" -d --phys-data -e page-faults,cpu-clock
test_fields "Sizes of pages" "page size: " -d --data-page-size --code-page-size -e page-faults
test_fields "Groups" "group nr 2" -e '{cpu-clock,page-faults}:S'
test_reads
exit ${err}
