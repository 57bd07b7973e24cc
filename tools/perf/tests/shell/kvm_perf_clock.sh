#!/bin/bash
# perf kvm pvpmu clock and the perf clock in perf.data tests
# SPDX-License-Identifier: GPL-2.0

set -u

sysctl=/proc/sys/kernel/perf_pv_clock
out=$(mktemp -d /tmp/__perf_test.kvm_perf_clock.XXXXX)
err=0
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"

# has_json CONDITION: of the object d that the last command printed
has_json() {
  command -v python3 > /dev/null || return 0
  python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "${out}/stdout" "$1"
}

# What the kernel tells is made of files: all of /proc but our two sysctls.
make_proc() {
  local entry

  mkdir -p "${out}/proc/sys/kernel"
  for entry in /proc/[!0-9]* /proc/sys/kernel/*
  do
    case "${entry}" in
    /proc/sys | /proc/sys/kernel/perf_pv_clock*) ;;
    *) ln -s "${entry}" "${out}${entry}" ;;
    esac
  done
}

# set_sysctls SOURCE-AND-REASON HOST
set_sysctls() {
  echo "$1" > "${out}${sysctl}"
  echo "$2" > "${out}${sysctl}_host"
}

# perf COMMAND... on the machine that is made of files
on_files() {
  env PROCFS_PATH="${out}/proc" SYSFS_PATH="${out}/sys" DEBUGFS_PATH="${out}/debug" perf "$@"
}

test_neither() {
  local name="No clock"

  run 1 on_files kvm pvpmu clock || fail "${name}" "status"
  grep -q "kvm.perf_clock=1" "${out}/stderr" || fail "${name}" "it does not say what to do"
  grep -q "CONFIG_PERF_PV_CLOCK" "${out}/stderr" || fail "${name}" "nor in a guest"
  [ ! -s "${out}/stdout" ] || fail "${name}" "it printed something"
  run 1 on_files kvm pvpmu clock --vm x || fail "${name}" "status of --vm"
  run 129 on_files kvm pvpmu clock x || fail "${name}" "an argument"
}

test_guest_files() {
  local name="Guest of files"

  set_sysctls "msr: because \"I\" say so" "0x00000000deadbeef 7 -42"
  run 0 on_files kvm pvpmu clock || fail "${name}" "status"
  says "guest: msr$" "reason +because \"I\" say so$" "host epoch +0x00000000deadbeef$" \
    "generation +7$" "offset +-42 ns" "one read +-, 1 exit$" || fail "${name}" "text"
  run 0 on_files kvm pvpmu clock -j || fail "${name}" "status of -j"
  has_json 'd == {"guest": {"source": "msr", "reason": "because \"I\" say so",
    "host_epoch": "0x00000000deadbeef", "generation": 7, "offset": -42,
    "read_ns": None, "read_exits": 1}}' || fail "${name}" "JSON"

  # Nothing may be made up of what cannot be understood.
  set_sysctls "page: valid" "0xdeadbeef seven -42"
  run 0 on_files kvm pvpmu clock || fail "${name}" "status of a broken relation"
  says "generation +unknown$" ", 0 exits$" || fail "${name}" "broken relation"
  set_sysctls "broken" ""
  run 1 on_files kvm pvpmu clock || fail "${name}" "status of a broken source"
}

# vcpu_clock VM VCPU: a vCPU's directory, and in it the clock that is read from stdin
vcpu_clock() {
  mkdir -p "${out}/debug/kvm/$1/vcpu$2"
  echo 1 > "${out}/debug/kvm/$1/vcpu$2/pid"
  cat > "${out}/debug/kvm/$1/vcpu$2/perf-clock"
}

good_clock() {
  printf '%s\n' "offered 1" "register 0x1003" "source page" "valid 1" \
    "host_epoch 0xdeadbeef" "generation 3" "offset -5" "host_ns 100" "guest_ns 105" \
    "tsc_offset -123456"
}

make_host() {
  mkdir -p "${out}/sys/module/kvm/parameters"
  echo Y > "${out}/sys/module/kvm/parameters/perf_clock"
  good_clock | vcpu_clock "$1-9" 0
  echo "offered 0" | vcpu_clock "$1-9" 1
  echo "offered 1" | vcpu_clock "$1-9" 2
  printf 'offered' | vcpu_clock "$1-9" 3
}

test_host_files() {
  local name="Host of files" tool=(on_files kvm --host pvpmu clock)

  make_host 1
  run 0 "${tool[@]}" || fail "${name}" "status"
  says "\(pid 1\): 4 vCPUs, host epoch 0x00000000deadbeef$" \
    "^ +0 +1 +page +yes +3 +-5 +-123456$" "^ +1 +1 +not offered$" \
    "^ +2 +1 +unknown +unknown +unknown" "^ +3 +1 +unknown$" || fail "${name}" "text"
  run 0 "${tool[@]}" -v -p 1 || fail "${name}" "status of -v"
  says "register 0x0000000000001003, host's clock 100 ns, guest's clock 105 ns" ||
    fail "${name}" "text of -v"
  run 0 "${tool[@]}" -j || fail "${name}" "status of -j"
  has_json 'd["host"]["vms"][0]["host_epoch"] == "0x00000000deadbeef"' ||
    fail "${name}" "JSON of a VM"
  has_json 'd["host"]["vms"][0]["vcpus"][0] == {"id": 0, "tid": 1, "offered": True,
    "source": "page", "valid": True, "generation": 3, "offset": -5, "tsc_offset": -123456,
    "register": "0x0000000000001003", "host_ns": 100, "guest_ns": 105}' ||
    fail "${name}" "JSON of a vCPU"
  has_json 'd["host"]["vms"][0]["vcpus"][3] == {"id": 3, "tid": 1, "offered": None}' ||
    fail "${name}" "JSON of a broken vCPU"
  run 1 "${tool[@]}" --vm nobody || fail "${name}" "status of an unknown name"
}

# The first VM's clock is a pipe: when it can be written, all VMs were found, and not yet read.
test_vm_ends() {
  local name="VM that ends" fifo="${out}/debug/kvm/1-8/vcpu0/perf-clock"

  make_host 1
  good_clock | vcpu_clock 1-8 0
  rm "${fifo}"
  mkfifo "${fifo}"
  {
    exec 3> "${fifo}"
    rm -r "${out}/debug/kvm/1-9"
    good_clock >&3
  } &
  run 0 on_files kvm --host pvpmu clock || fail "${name}" "status"
  exec 4<> "${fifo}" # lets the writer go on if nobody read
  wait
  exec 4>&-
  says "1 vCPU, host epoch" "^ +0 +1 +page +yes" "ended while it was read" ||
    fail "${name}" "text"
  rm -r "${out}/debug" "${out}/sys"
}

# record PERF-RECORD...: a file of an event that any user may have
record() {
  "$@" -q -o "${out}/perf.data" -e dummy:u true > "${out}/stdout" 2>&1
}

# The clock's line in the header of the file, read where there is no such clock.
header_line() {
  PROCFS_PATH=/proc perf report -i "${out}/perf.data" --header-only 2> /dev/null |
    grep "^# perf clock : "
}

check_line() {
  local line
  line=$(header_line)
  [ "${line}" = "# perf clock : $3" ] && return
  fail "$1" "$2: '${line}'"
}

test_record_files() {
  local name="Record on files" line

  line="page of a KVM host, host epoch 0x00000000deadbeef, generation 7"
  line="${line}, host's clock = time - 42 ns"
  set_sysctls "page: valid" "0x00000000deadbeef 7 -42"
  record env PROCFS_PATH="${out}/proc" perf record || fail "${name}" "record"
  check_line "${name}" "header" "${line}"
  perf inject -i "${out}/perf.data" -o "${out}/injected" 2> "${out}/stderr" ||
    fail "${name}" "inject"
  mv "${out}/injected" "${out}/perf.data"
  check_line "${name}" "header after inject" "${line}"
  if record env PROCFS_PATH="${out}/proc" perf record -k mono
  then
    check_line "${name}" "header with -k" "${line}; the events have another clock: monotonic"
  fi

  set_sysctls "msr: chosen" "0x1 1 42"
  env PROCFS_PATH="${out}/proc" perf record -q -o - -e dummy:u true > "${out}/perf.data" \
    2> "${out}/stderr" || fail "${name}" "pipe"
  check_line "${name}" "header of a pipe" \
    "MSR of a KVM host, host epoch 0x0000000000000001, generation 1, host's clock = time + 42 ns"

  set_sysctls "off: no host" ""
  record env PROCFS_PATH="${out}/proc" perf record || fail "${name}" "record with no clock"
  [ -z "$(header_line)" ] || fail "${name}" "a header without a clock"
}

# The relation may change while recording, and then the header has to tell.
test_record_change() {
  local name="Change while recording" change="${out}/change"

  set_sysctls "page: valid" "0x00000000deadbeef 7 -42"
  printf '#!/bin/sh\necho 0xdeadbeef 8 -41 > %s\n' "${out}${sysctl}_host" > "${change}"
  chmod +x "${change}"
  env PROCFS_PATH="${out}/proc" perf record -q -o "${out}/perf.data" -e dummy:u "${change}" \
    > "${out}/stdout" 2>&1 || fail "${name}" "record"
  header_line | grep -q "generation 7, .* - 42 ns; it changed while recording" ||
    fail "${name}" "$(header_line)"
}

# test_guest SOURCE: what this kernel says must be what perf shows and records
test_guest() {
  local name="Guest" source=$1 epoch generation offset sign line

  read -r epoch generation offset < "${sysctl}_host"
  run 0 perf kvm pvpmu clock || fail "${name}" "status of clock"
  says "guest: ${source}$" "host epoch +${epoch}$" "generation +${generation}$" \
    "offset +${offset} ns" || fail "${name}" "text of clock"
  run 0 perf kvm pvpmu clock -j || fail "${name}" "status of clock -j"
  has_json "d['guest']['host_epoch'] == '${epoch}' and d['guest']['offset'] == ${offset}" ||
    fail "${name}" "JSON of clock"

  sign=+
  [ "${offset}" = "${offset#-}" ] || sign=-
  line="host epoch ${epoch}, generation ${generation}, host's clock = time ${sign} ${offset#-} ns"
  record perf record || fail "${name}" "record"
  header_line | grep -qF "${line}" || fail "${name}" "header: '$(header_line)', expected '${line}'"
}

make_proc
test_neither
test_host_files
test_vm_ends
test_guest_files
if record perf record
then
  test_record_files
  test_record_change
fi
[ ${err} -eq 0 ] || exit 1

if [ ! -e "${sysctl}" ]
then
  echo "Skip: this kernel has no paravirtual perf clock (CONFIG_PERF_PV_CLOCK)"
  exit 2
fi
read -r source reason < "${sysctl}"
if [ "${source}" = "off:" ]
then
  echo "Skip: the paravirtual perf clock is off: ${reason}"
  exit 2
fi
test_guest "${source%:}"
exit ${err}
