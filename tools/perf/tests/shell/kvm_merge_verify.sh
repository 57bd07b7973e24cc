#!/bin/bash
# perf kvm merge --verify tests
# SPDX-License-Identifier: GPL-2.0


shelldir=$(dirname "$0")
# shellcheck source=lib/setup_python.sh
. "${shelldir}/lib/setup_python.sh"
set -u
out=$(mktemp -d /tmp/__perf_test.kvm_merge_verify.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "${shelldir}/lib/kvm_merge.sh"

# make host|guest FILE LINE...
make() {
  local kind=$1 file=$2
  shift 2
  printf '%s\n' "$@" | "${PYTHON}" "${shelldir}/lib/kvm_merge_make.py" "${kind}" > "${file}"
}

# verify OPTION...: the guest of process 100, or what the options say
verify() {
  run 0 perf kvm merge "${out}/host" --guest="${out}/guest,pid=100,pv-offset=0" "$@" \
    -o "${out}/merged" --verify
}

# check NAME PATTERN...
check() {
  local name=$1
  shift
  verify || fail "${name}" "status"
  says "$@" || fail "${name}" "text"
}

# vCPU 0 is in guest mode from 1000 to 2000 and from 3000 to 4000, and vCPU 1 in between.
intervals=("enter 1000 100 101 0" "leave 2000 100 101 0" "enter 2100 100 102 1"
  "leave 2900 100 102 1" "enter 3000 100 101 0" "leave 4000 100 101 0"
  "enter 4100 100 102 1" "leave 4900 100 102 1" "enter 5000 100 101 0")

test_inside() {
  local name="Inside"

  make host "${out}/host" "${intervals[@]}"
  make guest "${out}/guest" "sample 1000 0" "sample 1500 0" "sample 2000 0" "sample 2100 1" \
    "sample 2900 1" "sample 3500 0" "sample 4900 1"
  check "${name}" "^verify: 7 of 7 samples in guest mode of their vCPU \(100\.000 %\)$" \
    "^  VM 100: 7 of 7"
  # The names of events came as records: the guest's has one that it chose to mislead.
  [ "$(perf evlist -i "${out}/merged" | grep -c '^kvm:kvm_entry$')" -eq 2 ] ||
    fail "${name}" "names"
}

# What an event that excludes guests has of a guest is left to the guest's own recording, where
# there is one: of process 100, not of 300, and not by the event that excludes none.
test_guest_mode() {
  local name="Guest mode"

  make host "${out}/host" "${intervals[@]}" "clock 5100 100 101 5" "clock 5200 100 101 4" \
    "clock 5300 100 101 1" "clock 5400 300 301 5" "both-clock 5500 100 101 5"
  make guest "${out}/guest" "sample 1500 0"
  check "${name}" "left out: 2 samples in guest mode"
  perf script -i "${out}/merged" -G -F tid,event,time --ns 2> /dev/null |
    sed -n 's/^ *\([0-9]*\) .*[ .]0*\([0-9]*\): *\(\S*clock\): *$/\1 \2 \3/p' > "${out}/got"
  printf '%s\n' "101 5300 clock" "301 5400 clock" "101 5500 both-clock" > "${out}/expected"
  cmp "${out}/expected" "${out}/got" || fail "${name}" "samples: $(cat "${out}/got")"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "left to the guests: 2 samples in guest mode" || fail "${name}" "header's text"
}

# How far off they are: from the nearer end, and of vCPU 0, though vCPU 1 runs
test_outside() {
  local name="Outside"

  make guest "${out}/guest" "sample 1500 0" "sample 2001 0"
  check "${name}" "1 of 2 samples .*\(50\.000 %\), worst off by 1 ns$"
  make guest "${out}/guest" "sample 2300 0" "sample 2960 0" "sample 3500 0"
  check "${name}" "1 of 3 samples .*\(33\.333 %\), worst off by 300 ns$"
  make guest "${out}/guest" "sample 2800 0" "sample 3500 1" "sample 4500 1"
  check "${name}" "1 of 3 samples .*, worst off by 600 ns$"
  # More than are kept: the worst is what it can be at most.
  mapfile -t many < <(seq -f 'sample %.0f 0' 2001 2090)
  make guest "${out}/guest" "${many[@]}"
  check "${name}" "0 of 90 samples .*\(0\.000 %\), worst off by at most 90 ns$"
  # Nearly all is not all.
  mapfile -t many < <(seq -f 'sample %.4f 0' 1000 0.0049 1999 | cut -d. -f1 | sed 's/$/ 0/')
  make guest "${out}/guest" "${many[@]}" "sample 2001 0"
  check "${name}" "\(99\.999 %\), worst off by 1 ns"
}

test_two_vms() {
  local name="Two VMs"

  make host "${out}/host" "${intervals[@]}" "enter 5100 200 201 0" "leave 5200 200 201 0" \
    "enter 5300 200 201 0"
  make guest "${out}/guest" "sample 1500 0" "sample 3500 0"
  make guest "${out}/guest2" "sample 5150 0" "sample 5210 0" "sample 5150 1"
  verify --guest="${out}/guest2,pid=200,pv-offset=0" || fail "${name}" "status"
  says "^verify: 3 of 4 samples .*\(75\.000 %\), worst off by 10 ns; 1 not known$" \
    "^  VM 100: 2 of 2 .*\(100\.000 %\)$" \
    "^  VM 200: 1 of 2 samples .*\(50\.000 %\), worst off by 10 ns; 1 not known$" ||
    fail "${name}" "text"
  # The same of a file that was merged before, as JSON
  run 0 perf kvm merge --verify -j "${out}/merged" || fail "${name}" "status of JSON"
  "${PYTHON}" -c '
import json, sys
result = json.load(open(sys.argv[1]))
assert result["known"] and result["host_lost"] == 0, result
assert (result["inside"], result["outside"], result["unknown"]) == (3, 1, 1), result
assert result["inside_percent"] == 75 and result["worst_ns"] == 10, result
assert [vm["pid"] for vm in result["vms"]] == [100, 200], result
assert result["vms"][1]["outside"] == 1, result' "${out}/stdout" || fail "${name}" "JSON"
}

# Before the first and after the last event, and around what is missing
test_unknown() {
  local name="Unknown"

  make host "${out}/host" "${intervals[@]}"
  make guest "${out}/guest" "sample 500 0" "sample 1500 0" "sample 5500 0"
  check "${name}" "1 of 1 samples .*\(100\.000 %\); 2 not known$"
  # A vCPU that the guest has not: its records are not in the output.
  make guest "${out}/guest" "sample 1500 3" "sample 1600 0"
  check "${name}" "1 of 1 samples .*; 1 not known$"
  # Two entries without an exit between
  make host "${out}/host" "enter 1000 100 101 0" "enter 2000 100 101 0" "leave 3000 100 101 0"
  make guest "${out}/guest" "sample 1500 0" "sample 2500 0"
  check "${name}" "1 of 1 samples .*; 1 not known$"
  # Two exits
  make host "${out}/host" "enter 1000 100 101 0" "leave 2000 100 101 0" "leave 3000 100 101 0" \
    "enter 4000 100 101 0"
  make guest "${out}/guest" "sample 1500 0" "sample 2500 0" "sample 3500 0"
  check "${name}" "1 of 2 samples .*, worst off by 500 ns; 1 not known$"
  # A loss makes unknown what is near it.
  make host "${out}/host" "enter 1000 100 101 0" "lost 1600 5" "leave 2000 100 101 0" \
    "enter 2200 100 101 0" "leave 3000 100 101 0"
  make guest "${out}/guest" "sample 1500 0" "sample 1700 0" "sample 2500 0"
  check "${name}" "1 of 1 samples .*; 2 not known$" "the host lost 5 records"
}

test_not_known() {
  local name="Not known"

  make host "${out}/host" "enter 1000 100 101 0" "leave 2000 100 101 0" "lost-samples 7"
  make guest "${out}/guest" "sample 1500 0"
  check "${name}" "^verify: not known: .*lost events" "larger buffer"
  run 0 perf kvm merge --verify -j "${out}/merged" || fail "${name}" "status of JSON"
  says '"known": false, "host_lost": 7,.*"inside_percent": null, "worst_ns": null' ||
    fail "${name}" "JSON"
  # Without the events; the guest's own of that name do not count.
  make host "${out}/host" "lost 10 1"
  check "${name}" "^verify: not known: .*does not tell when vCPUs ran" "kvm:kvm_entry"
  make host "${out}/host" "${intervals[@]}"
  make guest "${out}/guest" "sample 500 0"
  check "${name}" "^verify: not known: no guest's sample is of"
  run 1 perf kvm merge --verify "${out}/none" || fail "${name}" "status without a file"
  run 129 perf kvm merge -j "${out}/merged" || fail "${name}" "status without --verify"
}

test_inside
test_guest_mode
test_outside
test_two_vms
test_unknown
test_not_known
exit ${err}
