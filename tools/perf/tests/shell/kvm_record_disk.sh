#!/bin/bash
# perf kvm record with guests on a full disk
# SPDX-License-Identifier: GPL-2.0

# The disk is a small tmpfs in a mount namespace of its own, so that nothing is left of it.

set -u

if [ "${1:-}" != inside ]
then
  if ! reason=$(unshare -m bash -c "mount -t tmpfs none /tmp" 2>&1)
  then
    echo "Skip: no file system can be mounted: ${reason}"
    exit 2
  fi
  exec unshare -m bash "$0" inside
fi

out=$(mktemp -d /tmp/__perf_test.kvm_record_disk.XXXXX)
err=0
disk="${out}/disk"
# shellcheck source=lib/kvm.sh
. "$(dirname "$0")/lib/kvm.sh"

# new_disk KB: an empty one
new_disk() {
  ! mountpoint -q "${disk}" || umount "${disk}"
  mkdir -p "${disk}"
  mount -t tmpfs -o "size=$1k" none "${disk}"
}

start_agent() {
  echo "events cpu-clock page-faults" > "${out}/policy"
  perf kvm agent --listen "unix:${out}/guest.sock" --policy "${out}/policy" 2> "${out}/log" &
  until_true grep -qs listening "${out}/log"
}

# record STATUS OPTION...: rings are small, so that little is to be written in the end
record() {
  local status=$1
  shift
  run "${status}" perf kvm record -o "${disk}/data" -m 4 --no-guest-symbols --clock=probe \
    --guest="unix:${out}/guest.sock,pid=$$,name=g" "$@"
}

# What can be had by the command that was printed: samples of the host, and of the guest.
merge_by_hand() {
  local name=$1 output=$2 command

  command=$(grep "^  perf kvm merge" "${out}/stderr" | sed "s,-o .*,-o ${output},")
  # shellcheck disable=SC2086
  run "$3" ${command} || fail "${name}" "the command that merges by hand"
  says "clock: probe" || fail "${name}" "the readings of the guest's clock"
  perf script -i "${output}" -G -F machine_pid,event > "${out}/samples" 2> /dev/null
  grep -q "^ *cpu-clock" "${out}/samples" || fail "${name}" "samples of the host"
  grep -q "VM: *$$ " "${out}/samples" || fail "${name}" "samples of the guest"
}

# The parts are there, and nothing else is; an older output is as it was.
check_rest() {
  local name=$1

  says "(guest1-g|merged|host).data.* (cannot be written|write).*No space left" \
    "To merge it, make room there or give another -o:" || fail "${name}" "text"
  [ "$(cat "${disk}/data")" = older ] || fail "${name}" "the older output"
  [ ! -e "${disk}/data.old" ] || fail "${name}" "the older output has another name"
  [ "$(cd "${disk}"/data.parts.* && echo *)" = \
    "guest1-g.data guest1-g.data.clock host.data host.log" ] ||
    fail "${name}" "the parts: $(echo "${disk}"/data.parts.*/*)"
}

# Until the disk is full: by what the guest sends, or by what the host records.
test_parts() {
  local name="Full while recording: $1"
  shift

  new_disk 3500
  echo older > "${disk}/data"
  record 1 "$@" -- bash -c "while :; do perf bench sched messaging -g 1 -l 300; done" ||
    fail "${name}" "status"
  check_rest "${name}"
  merge_by_hand "${name}" "${out}/other" 3
}

# So much room is left for the end of the recording, and not for the output.
test_output() {
  local name="Full while merging" room

  room=$((4096 + 64 * $(getconf _NPROCESSORS_CONF)))
  new_disk $((8 * room))
  echo older > "${disk}/data"
  cat > "${out}/work" << 'WORK'
until [ "$(du -sk "$1"/data.parts.* | cut -f1)" -gt $((2 * $2)) ]
do
  perf bench sched messaging -g 1 -l 300
done
left=$(df -k --output=avail "$1" | tail -1)
head -c $(((left - $2) * 1024)) /dev/zero > "$1/filled"
WORK
  record 1 -e cpu-clock -F 4000 -g -- bash "${out}/work" "${disk}" "${room}" ||
    fail "${name}" "status"
  check_rest "${name}"
  says "merged.data: cannot be written" || fail "${name}" "the file's name"
  rm "${disk}/filled"
  merge_by_hand "${name}" "${disk}/data" 0
}

if ! perf record -a -e cpu-clock -o /dev/null -- true > /dev/null 2>&1
then
  echo "Skip: no permission to record"
  exit 2
fi
start_agent || { cat "${out}/log"; exit 1; }
test_parts "the guest" -e cpu-clock -F 50 --guest-event=cpu-clock --guest-event=page-faults
test_parts "the host" -e cpu-clock -F 9000 -g --guest-event=page-faults
test_output
umount "${disk}"
exit "${err}"
