# SPDX-License-Identifier: GPL-2.0
# What the tests of perf kvm share: they remove their files and end their processes, run
# commands and look at what these say.
#
# shellcheck shell=bash

# The test has a directory of its own, and the status that it will end with.
out=${out:?}
err=${err:?}

# What was started in the background ends with the test.
cleanup() {
  local jobs

  mapfile -t jobs < <(jobs -p)
  [ ${#jobs[@]} -eq 0 ] || kill "${jobs[@]}" 2> /dev/null
  rm -rf "${out}"
  trap - EXIT TERM INT
}

trap_cleanup() {
  cleanup
  exit 1
}
trap trap_cleanup TERM INT
trap cleanup EXIT

# fail TEST WHAT
fail() {
  echo "$1 [Failed: $2]"
  err=1
}

# run STATUS COMMAND...: the command must end with this status, and a program in two minutes
run() {
  local expected=$1 status=0 limit=(timeout 120)
  shift
  [ "$(type -t "$1")" != function ] || limit=()
  "${limit[@]}" "$@" > "${out}/stdout" 2> "${out}/stderr" < /dev/null || status=$?
  [ ${status} -eq "${expected}" ] && return
  echo "'$*' ended with ${status}, expected ${expected}:"
  cat "${out}/stdout" "${out}/stderr"
  return 1
}

# says PATTERN...: each must be in what the last command printed
says() {
  local pattern
  for pattern in "$@"
  do
    cat "${out}/stdout" "${out}/stderr" 2> /dev/null | grep -Eq -- "${pattern}" && continue
    echo "No '${pattern}' in:"
    cat "${out}/stdout" "${out}/stderr"
    return 1
  done
}

# until_true COMMAND...: for 10 seconds
until_true() {
  local i

  for ((i = 0; i < 100; i++))
  do
    "$@" && return
    sleep 0.1
  done
  return 1
}
