#!/bin/bash
# perf kvm merge tests of each type of records, of false and of cut ones
# SPDX-License-Identifier: GPL-2.0

shelldir=$(dirname "$0")
# shellcheck source=lib/setup_python.sh
. "${shelldir}/lib/setup_python.sh"
set -u
out=$(mktemp -d /tmp/__perf_test.kvm_merge_records.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "${shelldir}/lib/kvm_merge.sh"

# make host|guest FILE LINE...
make() {
  local kind=$1 file=$2
  shift 2
  printf '%s\n' "$@" | "${PYTHON}" "${shelldir}/lib/kvm_merge_make.py" "${kind}" > "${file}"
}

# has NAME TYPE NUMBER: records of the merged file
has() {
  local nr

  nr=$(awk -v type="$2" '$1 == type && $2 == "events:" { print $3; exit }' "${out}/stats")
  [ "${nr:-0}" -eq "$3" ] || fail "$1" "${nr:-0} records $2, expected $3"
}

test_types() {
  local name="Types" type

  make guest "${out}/guest" "sample 1000 0" "lost 1100 0 7" "lost 1150 1 5" \
    "lost-samples 1200 1 30" "throttle 1300 0" "throttle 1310 1" "throttle 1320 2" \
    "read 1400 0" "read 1410 3" "switch 1500 0" "switch 1510 1" "switch 1520 2" "switch 1530 3" \
    "namespaces 1600 0" "ksymbol 1700 0" "ksymbol 1710 1" "text-poke 1800 0" "sample 1900 3"
  merge 0 "${out}/guest,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status"
  says "lost while recording: 12 records, 30 samples" "records: 18, of which samples: 2" ||
    fail "${name}" "text"
  perf report -i "${out}/merged" --stats > "${out}/stats" 2> "${out}/stderr" ||
    fail "${name}" "report"
  for type in SAMPLE:4 LOST:2 LOST_SAMPLES:1 THROTTLE:3 READ:2 SWITCH:4 NAMESPACES:1 KSYMBOL:2 \
    TEXT_POKE:1
  do
    has "${name}" "${type%:*}" "${type#*:}"
  done
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "^# +4001 vm1 +4 pv +2 ns +18 +2 +30$" \
    "^# +lost: 12 records in its rings, 30 samples in its rings$" ||
    fail "${name}" "lost in the header"
}

# A guest says of its samples what it wants: what cannot be is left out, and no more.
test_lies() {
  local name="Lies"

  make guest "${out}/guest" "sample 2000 0" "sample 2100 1"
  # A CPU that is none, an id that is nobody's, and the host's
  make guest "${out}/liar" "sample 1000 0" "sample 1100 4294967294" "sample 1200 0 99999" \
    "sample 1300 0 7001" "sample 1400 4" "sample 1500 1" "sample 1600 2"
  merge 3 "${out}/liar,pid=4001,name=vm1,pv-offset=0" \
    "${out}/guest,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status"
  says "left out: 4 damaged records" "liar, pid 4001, name vm1" || fail "${name}" "text"
  [ "$(grep -c "left out" "${out}/stdout")" -eq 1 ] || fail "${name}" "more is left out"
  [ "$(count "${out}/merged" "VM: *4001 ")" -eq 3 ] || fail "${name}" "good samples"
  check_counts "${name}" guest 4002
  check_order "${name}"
}

# Times that perf does not have: none, which is of what was synthesized, and too large ones;
# and one before the host's first.
test_times() {
  local name="Times"

  make guest "${out}/guest" "sample 2000 0" "sample 2100 1"
  make guest "${out}/liar" "sample 0 0" "sample 10 1" "sample 1100 0" \
    "sample 9223372036854775808 0" "sample 1200 0"
  merge 3 "${out}/liar,pid=4001,name=vm1,pv-offset=0" \
    "${out}/guest,pid=4002,name=vm2,pv-offset=0" || fail "${name}" "status"
  says "left out: 1 damaged record" "liar, pid 4001, name vm1" || fail "${name}" "text"
  perf script -i "${out}/merged" -G -F machine_pid,time --ns 2> /dev/null |
    sed -n -E 's/VM: *4001 +0\.0*([0-9]+): *$/\1/p; s/VM: *4001 +0\.0+: *$/0/p' | tr '\n' ' ' \
    > "${out}/got"
  [ "$(cat "${out}/got")" = "0 10 1100 1200 " ] || fail "${name}" "times: $(cat "${out}/got")"
  check_counts "${name}" guest 4002
  check_order "${name}"
}

# record_ends FILE: the places at which its records end
record_ends() {
  "${PYTHON}" - "$1" << 'PYTHON'
import struct, sys

data = open(sys.argv[1], "rb").read()
pos = 16
while pos < len(data):
    pos += struct.unpack_from("<H", data, pos + 6)[0]
    print(pos)
PYTHON
}

# cut_status LENGTH: nothing can be said of a file without events; a cut between two records
# cannot be seen
cut_status() {
  if [ "$1" -lt "${ends[0]}" ]
  then
    echo 1
  elif [[ " ${ends[*]} " == *" $1 "* ]]
  then
    echo 0
  else
    echo 3
  fi
}

# check_cut LENGTH: the output, if it is another one than that of one byte less
check_cut() {
  local name="Cut at $1" samples

  samples=$(sed -n '/guest .*bad/,$s/.*of which samples: //p' "${out}/stdout")
  cmp -s "${out}/merged" "${out}/before" && return
  perf report -i "${out}/merged" --stats > "${out}/stats" 2>&1 ||
    fail "${name}" "the output cannot be read"
  has "${name}" SAMPLE $((2 + ${samples:-99}))
  cp "${out}/merged" "${out}/before"
}

# Wherever a file is cut off, it is an error, or all before that place is there.
test_cut() {
  local name="Cut" size length ends expected

  make guest "${out}/whole" "sample 1000 0" "throttle 1100 0" "read 1200 1" "namespaces 1300 0" \
    "text-poke 1400 0" "sample 1500 3"
  mapfile -t ends < <(record_ends "${out}/whole")
  size=$(stat -c %s "${out}/whole")
  for ((length = 0; length <= size; length++))
  do
    head -c ${length} "${out}/whole" > "${out}/bad"
    expected=$(cut_status ${length})
    rm -f "${out}/merged"
    merge "${expected}" "${out}/bad,pid=4001,pv-offset=0" || {
      fail "${name}" "status with ${length} bytes"
      continue
    }
    if [ "${expected}" -eq 1 ]
    then
      [ -s "${out}/stderr" ] || fail "${name}" "no message for ${length} bytes"
      [ -e "${out}/merged" ] && fail "${name}" "an output of ${length} bytes"
    else
      check_cut ${length}
    fi
  done
  says "records: 6, of which samples: 2" || fail "${name}" "the whole file"
}

make host "${out}/host" "enter 1000 100 101 0" "leave 2000 100 101 0"
test_types
test_lies
test_times
test_cut
exit ${err}
