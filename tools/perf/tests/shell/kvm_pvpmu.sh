#!/bin/bash
# perf kvm pvpmu tests
# SPDX-License-Identifier: GPL-2.0

set -u

devices=/sys/bus/event_source/devices
out=$(mktemp -d /tmp/__perf_test.kvm_pvpmu.XXXXX)
err=0
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"

is_json() {
  python3 -c 'import json, sys
for line in open(sys.argv[1]):
    json.loads(line)' "$1"
}

# On a machine without pvpmu, which an empty sysfs makes of any.
test_neither() {
  local name="No pvpmu" sub

  mkdir -p "${out}/sys/bus/event_source/devices"
  for sub in list stat "stat --vm x" "list --vm x"
  do
    # Expansion of spaces to arguments is deliberate.
    # shellcheck disable=SC2086
    run 1 env SYSFS_PATH="${out}/sys" perf kvm pvpmu ${sub} || fail "${name}" "status of ${sub}"
    grep -q "kvm.pvpmu=1" "${out}/stderr" || fail "${name}" "${sub} does not say what to do"
    [ ! -s "${out}/stdout" ] || fail "${name}" "${sub} printed something"
  done
  run 129 perf kvm pvpmu || fail "${name}" "no subcommand"
  run 129 perf kvm pvpmu liststat || fail "${name}" "unknown subcommand"
  run 129 perf kvm pvpmu stat -j -x, || fail "${name}" "-j with -x"
  run 129 perf kvm pvpmu stat -I 5 || fail "${name}" "short interval"
}

# What debugfs may hold, without a VM: a PMU and VMs made of files.
make_host() {
  local pmu="${out}/sys/bus/event_source/devices/kvm_vcpu" vm

  mkdir -p "${pmu}/events" "${pmu}/format"
  echo 1 > "${pmu}/type"
  echo config:0-7 > "${pmu}/format/event"
  echo event=0x01 > "${pmu}/events/guest-ns"
  for vm in 1 2
  do
    mkdir -p "${out}/debug/kvm/${!vm}-9/vcpu0"
    echo "${!vm}" > "${out}/debug/kvm/${!vm}-9/vcpu0/pid"
  done
  printf 'offered 1\ncounters 8\nctrl 0x1\nstatus 0x200000000\n%s\n%s\ntotal vm-exits 77\n' \
    "counter 0 evtsel 0x430301 value 5 enabled 6 running 6" \
    "counter 1 evtsel 0x430000 value 0 enabled 6 running 0" \
    > "${out}/debug/kvm/$1-9/vcpu0/pvpmu"
  printf 'offered 1\ncounters 8\ncounter 99 evtsel' > "${out}/debug/kvm/$2-9/vcpu0/pvpmu"
}

list_files() {
  run 0 env SYSFS_PATH="${out}/sys" DEBUGFS_PATH="${out}/debug" perf kvm pvpmu list "$@"
}

check_list_files() {
  local name="List of VMs"

  list_files || fail "${name}" "status"
  grep -q "VM 'odd \"name' (pid $1): 1 vCPU" "${out}/stdout" || fail "${name}" "name of a VM"
  grep -q "2 of 8 .*vm-exits, cycles (error" "${out}/stdout" || fail "${name}" "counters in use"
  grep -q "^ *0 *$2 *unknown" "${out}/stdout" || fail "${name}" "a broken file is not unknown"
  list_files -v --vm 'odd "name' || fail "${name}" "status of --vm"
  grep -q "total *vm-exits *77" "${out}/stdout" || fail "${name}" "totals"
  grep -q "pid $2" "${out}/stdout" && fail "${name}" "--vm shows another VM"
  list_files -j || fail "${name}" "status of -j"
  is_json "${out}/stdout" || fail "${name}" "JSON"
}

check_choice() {
  local name="Choice of a VM"
  local tool="env SYSFS_PATH=${out}/sys DEBUGFS_PATH=${out}/debug perf kvm pvpmu"

  # Expansion of spaces to arguments is deliberate.
  # shellcheck disable=SC2086
  {
    run 1 ${tool} list --vm nobody || fail "${name}" "status of an unknown name"
    grep -q "pid $1" "${out}/stderr" || fail "${name}" "an unknown name shows no choice"
    run 1 ${tool} stat -p 1 || fail "${name}" "status of an unknown process"
    grep -q "Process 1 has no VM" "${out}/stderr" || fail "${name}" "unknown process"
  }
  cp -r "${out}/debug/kvm/$1-9" "${out}/debug/kvm/$3-9"
  # shellcheck disable=SC2086
  run 1 ${tool} list --vm 'odd "name' || fail "${name}" "status of a name that two VMs have"
  grep -q "More than one VM" "${out}/stderr" || fail "${name}" "two VMs of a name"
}

# A process with the arguments of a VMM; the last one's number is in $!.
start_vm() {
  python3 -c 'import time; time.sleep(60)' "$@" &
}

test_files() {
  local vms=()

  start_vm -name 'guest=odd "name,debug-threads=on'
  vms+=($!)
  start_vm
  vms+=($!)
  start_vm -m 400 -name 'odd "name'
  vms+=($!)
  sleep 0.5
  make_host "${vms[0]}" "${vms[1]}"
  check_list_files "${vms[0]}" "${vms[1]}"
  check_choice "${vms[@]}"
  kill "${vms[@]}"
  wait "${vms[@]}" 2> /dev/null
}

test_guest() {
  local name="Guest"

  run 0 perf kvm pvpmu list || fail "${name}" "status of list"
  grep -Eq "^ +vm-exits +pv +available" "${out}/stdout" || fail "${name}" "vm-exits in list"
  run 0 perf kvm pvpmu list -j || fail "${name}" "status of list -j"
  is_json "${out}/stdout" || fail "${name}" "JSON of list"
  run 0 perf kvm pvpmu stat -a -j -o "${out}/json" -- sleep 0.1 || fail "${name}" "status of stat"
  is_json "${out}/json" || fail "${name}" "JSON of stat"
  run 0 perf kvm pvpmu stat -a -x, -e vm-exits -- sleep 0.1 || fail "${name}" "status of stat -e"
  grep -Eq "^[0-9]+,,pvpmu/vm-exits/," "${out}/stderr" || fail "${name}" "vm-exits"
  grep -q ",pvpmu/pvpmu-exits/," "${out}/stderr" || fail "${name}" "own exits"
}

test_host() {
  local name="Host"

  run 0 perf kvm --host pvpmu list || fail "${name}" "status of list"
  run 0 perf kvm --host pvpmu list -j || fail "${name}" "status of list -j"
  is_json "${out}/stdout" || fail "${name}" "JSON of list"
}

test_neither
if command -v python3 > /dev/null
then
  test_files
fi
[ ${err} -eq 0 ] || exit 1

if [ ! -d "${devices}/pvpmu" ] && [ ! -d "${devices}/kvm_vcpu" ]
then
  echo "Skip: this machine has no pvpmu, neither as a guest nor as a host"
  exit 2
fi
if [ "$(id -u)" != 0 ]
then
  echo "Skip: counting needs root"
  exit 2
fi
if [ -d "${devices}/pvpmu" ]
then
  test_guest
fi
if [ -d "${devices}/kvm_vcpu" ]
then
  test_host
fi
exit ${err}
