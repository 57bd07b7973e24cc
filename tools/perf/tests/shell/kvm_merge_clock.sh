#!/bin/bash
# perf kvm merge tests of clocks that drift or change
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge_clock.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

# table LINE...: what is known of the guest's clock
table() {
  printf '%s\n' "# a table of clocks" "" "$@" > "${out}/table"
}

# merge_table STATUS [OPTION]: with that table
merge_table() {
  merge "$1" "${out}/guest,pid=4001,${2:+$2,}readings=${out}/table"
}

# times FILE [PID]: of its samples, or of those of a guest, in ns
times() {
  if [ $# -eq 1 ]
  then
    perf script -i "$1" -G -F time --ns 2> /dev/null | tr -d ' :.' | sed 's/^0*//'
  else
    perf script -i "$1" -G -F machine_pid,time --ns 2> /dev/null |
      sed -n "s/VM: *$2 *//p" | tr -d ' :.' | sed 's/^0*//'
  fi
}

# expect NAME: the guest's merged times must be those that come in, whatever their order
expect() {
  sort -n > "${out}/expected"
  times "${out}/merged" 4001 > "${out}/got"
  sort -n -c "${out}/got" || fail "$1" "order"
  cmp "${out}/expected" "${out}/got" && [ -s "${out}/got" ] || fail "$1" "times"
}

test_segments() {
  local name="Segments" back

  table "pv 0 -1000" "pv ${middle} 5000 # and not before"
  merge_table 0 || fail "${name}" "status"
  says "clock: pv, off by at most 2 ns, in 2 segments" || fail "${name}" "text"
  times "${out}/guest" | awk -v m="${middle}" '{ printf "%.0f\n", $1 + ($1 < m ? -1000 : 5000) }' |
    expect "${name}"
  grep -q "stepped back" "${out}/stdout" && fail "${name}" "it did not step back"

  # A second back: some of the second part come before the end of the first.
  table "pv 0 0" "pv ${middle} -1000000000"
  merge_table 0 clock=pv || fail "${name}" "status of a step back"
  back=$(sed -n 's/.*stepped back: \([0-9]*\) records.*/\1/p' "${out}/stdout")
  [ "${back:-0}" -ge "$(times "${out}/guest" | awk -v m="${middle}" '$1 >= m' | wc -l)" ] ||
    fail "${name}" "${back:-none} stepped back"
  times "${out}/guest" | awk -v m="${middle}" '{ printf "%.0f\n", $1 - ($1 < m ? 0 : 1e9) }' |
    expect "${name}"
}

test_unknown() {
  local name="Unknown" nr

  nr=$(times "${out}/guest" | awk -v m="${middle}" '$1 >= m' | wc -l)
  table "pv 0 0" "pv ${middle} unknown"
  merge_table 3 || fail "${name}" "status"
  [ "$(sed -n 's/.*left out: \([0-9]*\) records of times of which.*/\1/p' "${out}/stdout")" -ge \
    "${nr}" ] || fail "${name}" "count"
  times "${out}/guest" | awk -v m="${middle}" '$1 < m' | expect "${name}"
  # What is before the first segment is not known either.
  table "pv ${middle} 0"
  merge_table 3 || fail "${name}" "status of a late start"
  times "${out}/guest" | awk -v m="${middle}" '$1 >= m' | expect "${name}"
}

# Readings: the guest's clock is 1 ms ahead, and gains 5 us from the first to the last.
test_probe() {
  local name="Probe"

  table "probe $((start - 1000000)) 1000000 300" "probe $((end - 1005000)) 1005000 200"
  merge_table 0 clock=probe || fail "${name}" "status"
  says "clock: probe, off by at most 5300 ns, by 2 readings" || fail "${name}" "text"
  times "${out}/merged" 4001 > "${out}/got"
  times "${out}/guest" | paste - "${out}/got" |
    awk -v first="${start}" -v last="${end}" '
      { want = $1 - 1000000 - 5000 * ($1 - first) / (last - first)
        if ($2 - want > 1.5 || want - $2 > 1.5) bad = 1 }
      END { exit bad || !NR }' || fail "${name}" "times"
  # auto takes it as the guest's file tells of no other clock.
  merge_table 0 || fail "${name}" "status of auto"
  says "clock: probe" || fail "${name}" "auto"
}

test_readings() {
  local name="Readings" length=$((last - first)) bound

  # One whose neighbours prove more of its time is not used.
  table "probe ${end} 0 100" "probe ${start} 0 100" "probe ${middle} 7000 9000"
  merge_table 0 clock=probe || fail "${name}" "status"
  says "off by at most 100 ns, by 2 readings" || fail "${name}" "useless"
  # One alone is true of its own time, and less and less of others.
  table "probe ${start} 0 100"
  merge_table 0 || fail "${name}" "status of one"
  bound=$(sed -n 's/.*off by at most \([0-9]*\) ns, by 1 reading$/\1/p' "${out}/stdout")
  [ "${bound:-0}" -ge $(((last - start) / 1000000 * 500)) ] &&
    [ "${bound}" -le $(((end - start) / 1000000 * 500)) ] || fail "${name}" "one: ${bound:-none}"
  # A step shows in the bound.
  table "probe ${start} 0 100" "probe ${middle} 0 100" "probe $((end + 1000000)) -1000000 100"
  merge_table 0 || fail "${name}" "status of a step"
  says "off by at most 1000100 ns, by 3 readings" || fail "${name}" "step"
  # Readings that contradict each other within their bounds: the better one counts.
  table "probe ${start} 0 100" "probe ${middle} 50 300" "probe $((middle + 10)) 0 90" \
    "probe ${end} 0 100"
  merge_table 0 || fail "${name}" "status of contradicting ones"
  says "off by at most 100 ns, by 3 readings" || fail "${name}" "contradicting ones"
  # A clock that went back in between can be aligned on one side of it only.
  table "probe ${first} 0 100" "probe ${middle} -${length} 100" "probe ${last} -${length} 100"
  merge_table 1 clock=probe || fail "${name}" "status of a step back"
  says "stepped back between two readings" || fail "${name}" "step back"
  # Readings that cannot be
  table "probe 0 5 5" "probe 99999999999999999999 0 0"
  merge_table 129 || fail "${name}" "status of a number that is too large"
  table "probe 9223372036854775807 9223372036854775807 18446744073709551615" "probe 5 -9 1"
  merge_table 1 || fail "${name}" "status of absurd ones"
  says "there are no readings" || fail "${name}" "absurd ones"
}

# with_time_conv IN OUT ZERO: a copy of a pipe's recording, in which the TSC has 1 GHz, and
# was 0 at the time ZERO (0 to 255)
with_time_conv() {
  head -c 16 "$1"
  # type 79, size 64; shift 10, mult 1024, zero, cycles, mask, and that the zero is good
  printf '\117\0\0\0\0\0\100\0''\012\0\0\0\0\0\0\0''\0\04\0\0\0\0\0\0'
  printf "\\$(printf '%o' "$3")"'\0\0\0\0\0\0\0''\0\0\0\0\0\0\0\0''\0\0\0\0\0\0\0\0'
  printf '\01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
  tail -c +17 "$1"
} > "$2"

test_tsc() {
  local name="TSC"

  # Of its own a recording may tell of its TSC; the first one counts.
  record_pipe "${out}/pipe" -a -e cpu-clock || fail "${name}" "record"
  mv "${out}/host" "${out}/host.file"
  mv "${out}/guest" "${out}/guest.file"
  with_time_conv "${out}/pipe" "${out}/host" 100
  with_time_conv "${out}/pipe" "${out}/guest" 30
  merge 0 "${out}/guest,pid=4001,tsc-offset=-5000" || fail "${name}" "status"
  says "clock: tsc, off by at most 4 ns if" || fail "${name}" "text"
  times "${out}/guest" | awk '{ printf "%.0f\n", $1 - 30 + 5000 + 100 }' | expect "${name}"

  middle=$(times "${out}/guest" | sed -n 100p)
  table "tsc 0 -5000" "tsc ${middle} -9000" "probe 5 0 100"
  merge_table 0 || fail "${name}" "status of segments"
  says "clock: tsc, .*, in 2 segments" || fail "${name}" "text of segments"
  times "${out}/guest" | awk -v m="${middle}" \
    '{ printf "%.0f\n", $1 - 30 + ($1 < m ? 5000 : 9000) + 100 }' | expect "${name}"
  mv "${out}/host.file" "${out}/host"
  mv "${out}/guest.file" "${out}/guest"
}

test_refusals() {
  local name="Refusals" line

  rm -f "${out}/merged"
  for line in "pv" "pv 5" "pv 5 x" "pv 5 6 7" "tsc -1 0" "probe 1 2" "probe 1 2 3 4" "time 1 2 3" \
    "probe 1 2 -3" "$(printf '%300s' x)"
  do
    table "${line}"
    merge_table 129 || fail "${name}" "'${line}'"
    says "table:3: is no line" || fail "${name}" "text of '${line}'"
  done
  table
  merge_table 129 || fail "${name}" "empty"
  merge 129 "${out}/guest,pid=4001,readings=${out}/none" || fail "${name}" "no file"
  table "pv 5 0" "pv 5 1"
  merge_table 1 clock=pv || fail "${name}" "order"
  says "not in the order of time" || fail "${name}" "text of order"
  [ -e "${out}/merged" ] && fail "${name}" "there is an output"
}

record "${out}/host" -a -e cpu-clock || {
  echo "Skip: this user may not record the whole machine"
  exit 2
}
record "${out}/guest" -a -e cpu-clock || exit 2
first=$(times "${out}/guest" | head -1)
last=$(times "${out}/guest" | tail -1)
middle=$(((first + last) / 2))
# Records other than samples come before and after them.
start=$((first - 1000000000))
end=$((last + 1000000000))

test_segments
test_unknown
test_probe
test_readings
test_refusals
test_tsc
exit ${err}
