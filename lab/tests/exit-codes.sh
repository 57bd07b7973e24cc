#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# guest passes on the command's exit code, output and input, and tells a lost guest from a failed command.
. lab/tests/lib.sh

code() {
	"$@" >"$work/out" 2>"$work/err" && echo 0 || echo $?
}

assert_eq "$(code guest 'exit 7')" 7 "exit code of a failing command"
assert_eq "$(code guest 'kill -TERM $$')" 143 "exit code of a killed command"
assert_eq "$(code guest printf '%s|' 'a b' "c'd")" 0 "exit code of a command with arguments"
assert_eq "$(cat "$work/out")" "a b|c'd|" "its arguments"
assert_eq "$(code guest 'echo out; echo err >&2')" 0 "exit code of a command with two outputs"
assert_eq "$(cat "$work/out" "$work/err" | xargs)" "out err" "its two outputs"
assert_eq "$(seq 20000 | guest -i 'md5sum')" "$(seq 20000 | md5sum)" "what passes through the guest"
assert_eq "$(code guest -t 2 'sleep 60')" 124 "exit code at the deadline"
assert_eq "$(code guest -g nobody true)" 125 "exit code without such a guest"

# Somebody went away within a request: what comes next is not taken for its rest.
for port in 0 1 2 3; do
	/usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"R\0\0\0\xe8\3\0\0half")' /run/lab/guest/port.$port
done
assert_eq "$(code guest -t 30 'echo whole')" 0 "exit code after a request that was cut off"
assert_eq "$(cat "$work/out")" whole "its output"

guest-start doomed vcpus=1 root=image mem=300
(sleep 1; kill -KILL "$(guest-pid doomed)") &
assert_eq "$(code guest -g doomed 'sleep 60')" 125 "exit code when the guest ends"
guest-stop doomed
