#!/bin/bash
# Completion of perf kvm record, merge and agent
# SPDX-License-Identifier: GPL-2.0

err=0
script=$(dirname "$0")/../../perf-completion.sh

if [ ! -e "${script}" ]
then
  echo "Skip: ${script} is not here"
  exit 2
fi
# shellcheck source=/dev/null
. "${script}"

# completes WORD... "=>" EXPECTED...: the last word must be completed to these, in any order
completes() {
  local words=() cword cur prev want got

  while [ "$1" != "=>" ]
  do
    words+=("$1")
    shift
  done
  shift
  cword=$((${#words[@]} - 1))
  # shellcheck disable=SC2034 # the script reads it
  cur=${words[cword]}
  # shellcheck disable=SC2034
  prev=${words[cword - 1]}
  COMPREPLY=()
  __perf_main
  want=$(printf '%s\n' "$@" | sort)
  got=$(printf '%s\n' "${COMPREPLY[@]}" | sort -u)
  [ "${want}" = "${got}" ] && return
  echo "'${words[*]}' [Failed: ${COMPREPLY[*]}]"
  err=1
}

completes perf kvm mer "=>" merge
completes perf kvm agent -- "=>" --listen --policy
completes perf kvm merge host.data --k "=>" --keep-going
completes perf kvm merge "" "=>" ""
completes perf kvm record --guest-e "=>" --guest-event --guest-exec
completes perf kvm record --guest=web --clock "=>" --clock --clockid
completes perf kvm --host record --guest-max "=>" --guest-max-size
completes perf record --guest-e "=>" ""
completes perf kvm stat --guest-e "=>" ""
completes perf kvm pvpmu li "=>" list
exit ${err}
