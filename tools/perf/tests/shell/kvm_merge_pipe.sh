#!/bin/bash
# perf kvm merge tests of recordings in the format of pipes
# SPDX-License-Identifier: GPL-2.0

set -u

out=$(mktemp -d /tmp/__perf_test.kvm_merge_pipe.XXXXX)
err=0
# shellcheck source=lib/kvm_merge.sh
. "$(dirname "$0")/lib/kvm_merge.sh"

# All of a guest's samples, with names, callchains, and symbols of user space
test_guest() {
  local name="Guest" file

  merge 0 "${out}/guest1,pid=4001,name=vm1,pv-offset=0" "${out}/guest2,pid=4002,pv-offset=0" ||
    fail "${name}" "status"
  says "guest1, pid 4001, name vm1" "clock: pv, off by at most 2 ns" || fail "${name}" "text"
  check_counts "${name}" guest1 4001 guest2 4002
  run 0 perf evlist -i "${out}/merged" || fail "${name}" "evlist"
  says "^cpu-clock$" "^page-faults$" "^context-switches$" || fail "${name}" "names"
  grep -q "@vm1" "${out}/stdout" && fail "${name}" "the host's events are there twice"
  check_order "${name}"
  for file in guest1:4001 guest2:4002
  do
    check_content "${name}" "${file%:*}" "${file#*:}"
  done
}

# The host's may be one as well: its header then has what the records told.
test_host() {
  local name="Host"

  cp "${out}/host" "${out}/host.file"
  cp "${out}/host.pipe" "${out}/host"
  merge 0 "${out}/guest1,pid=4001,pv-offset=0" || fail "${name}" "status"
  check_counts "${name}" guest1 4001
  check_order "${name}"
  run 0 perf report -i "${out}/merged" --header-only || fail "${name}" "header"
  says "^# hostname : $(uname -n)" "^# nrcpus online" "^# time of first sample : [0-9.]*[1-9]" ||
    fail "${name}" "features"
  mv "${out}/host.file" "${out}/host"
}

# Tracepoints of the host and of guests: what their formats are comes among the records.
test_tracepoints() {
  local name="Tracepoints"

  record_pipe "${out}/host.tp" -a -e sched:sched_switch,cpu-clock || return
  cp "${out}/host" "${out}/host.file"
  cp "${out}/host.tp" "${out}/host"
  merge 0 "${out}/guest1,pid=4001,pv-offset=0" || fail "${name}" "status"
  check_counts "${name}" guest1 4001
  perf script -i "${out}/merged" -F event,trace 2> /dev/null |
    grep -q "sched:sched_switch:.*prev_pid=" || fail "${name}" "format"
  # A guest with the same ones, beside this host and beside one that has none
  merge 0 "${out}/host.tp,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status of a guest's"
  fields "${out}/host.tp" > "${out}/fields"
  guest_fields | same_fields "${out}/fields" || fail "${name}" "fields of a guest"
  mv "${out}/host.file" "${out}/host"
  merge 0 "${out}/host.tp,pid=4001,name=vm1,pv-offset=0" || fail "${name}" "status, host without"
  guest_fields | same_fields "${out}/fields" || fail "${name}" "fields, host without"
  test_bad_formats
}

# The record says how many bytes of formats follow it: without them samples are left out.
test_bad_formats() {
  local name="Bad formats" size

  command -v python3 > /dev/null || {
    echo "Skip: bad formats need python3"
    return
  }
  for size in 0 8 64 256 0x7fffffff 0xffffffff
  do
    python3 - "${out}/host.tp" "${out}/bad" ${size} << 'PYTHON'
import struct, sys

data = bytearray(open(sys.argv[1], "rb").read())
pos = 16
while struct.unpack_from("<I", data, pos)[0] != 66:  # PERF_RECORD_HEADER_TRACING_DATA
    pos += struct.unpack_from("<H", data, pos + 6)[0]
size, = struct.unpack_from("<I", data, pos + 8)
formats = pos + struct.unpack_from("<H", data, pos + 6)[0]
given = int(sys.argv[3], 0)
if given < size:
    del data[formats + given:formats + size]
struct.pack_into("<I", data, pos + 8, given)
open(sys.argv[2], "wb").write(data)
PYTHON
    check_bad "${name}" "${size} bytes" 3
    # Where nothing tells the next record, that is the end.
    [ $((size)) -gt 256 ] && continue
    says "the format of its tracepoint" "samples of tracepoints" || fail "${name}" "${size} bytes"
    [ "$(count "${out}/merged" "VM:.*cpu-clock")" -eq "$(count "${out}/host.tp" "cpu-clock")" ] ||
      fail "${name}" "other samples with ${size} bytes"
  done
}

test_compressed() {
  local name="Compressed"

  record_pipe "${out}/packed" -a -g -z -e cpu-clock,page-faults || return
  grep -q "not supported\|not available" "${out}/log" && return
  merge 0 "${out}/packed,pid=4003,pv-offset=0" || fail "${name}" "status"
  check_counts "${name}" packed 4003
  check_order "${name}"
}

# The build ids of a guest come as records, if perf inject has put them there.
test_build_ids() {
  local name="Build ids"

  perf inject -b -i "${out}/guest1" -o - 2> /dev/null | cat > "${out}/with-ids"
  merge 0 "${out}/with-ids,pid=4004,pv-offset=0" || fail "${name}" "status"
  check_counts "${name}" guest1 4004
  [ "$(perf buildid-list -i "${out}/merged" 2> /dev/null | wc -l)" -gt \
    "$(perf buildid-list -i "${out}/host" 2> /dev/null | wc -l)" ] || fail "${name}" "list"
}

# What perf writes at the end, and the mark of the end of features, are no damage.
test_pv_clock() {
  local name="PV clock"

  pretend_pv_clock
  PROCFS_PATH="${out}/proc" record_pipe "${out}/pv" -a -e cpu-clock || fail "${name}" "record"
  merge 0 "${out}/pv,pid=4005" || fail "${name}" "status"
  says "clock: pv, off by at most 2 ns" || fail "${name}" "text"
  check_times "${name}" pv 4005 -42
  # Cut off, it still has the clock, as that comes first.
  head -c $(($(stat -c %s "${out}/pv") - 4)) "${out}/pv" > "${out}/cut"
  merge 3 "${out}/cut,pid=4005" || fail "${name}" "status of a cut one"
  says "cut: is cut off at byte" "clock: pv" || fail "${name}" "text of a cut one"
}

test_truncated() {
  local name="Truncated" size length

  size=$(stat -c %s "${out}/guest1")
  for length in 8 15 16 17 24 100 $((size / 3)) $((size / 2)) $((size - 1001)) $((size - 1))
  do
    head -c "${length}" "${out}/guest1" > "${out}/bad"
    check_bad "${name}" "${length} bytes" 1 3
  done
}

# Every record type that comes before the samples, with its sizes and numbers overwritten
test_lies() {
  local name="Lies" i bytes

  for bytes in '\0377\0377\0377\0377\0377\0377\0377\0377' '\0\0\0\0\0\0\0\0' \
    '\0120\0\0\0\0\0\0020\0' '\0102\0\0\0\0\0\0020\0'
  do
    for i in $(seq 8 8 320) $(seq 328 3000 66000)
    do
      cp "${out}/small" "${out}/bad"
      printf '%b' "${bytes}" | dd of="${out}/bad" bs=1 seek="${i}" conv=notrunc status=none
      check_bad "${name}" "byte ${i}" 0 1 3
    done
  done
}

record "${out}/host" -a -g -e cpu-clock,page-faults || {
  echo "Skip: this user may not record the whole machine"
  exit 2
}
record_pipe "${out}/host.pipe" -a -g -e cpu-clock,page-faults || exit 1
record_pipe "${out}/guest1" -a -g -e cpu-clock,page-faults || exit 1
record_pipe "${out}/guest2" -g -e cpu-clock,page-faults,context-switches || exit 1
perf record -q -o - -e cpu-clock true 2> "${out}/log" | cat > "${out}/small"

test_guest
test_host
test_tracepoints
test_compressed
test_build_ids
test_pv_clock
test_truncated
test_lies
exit ${err}
