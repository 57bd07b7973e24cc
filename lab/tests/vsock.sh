#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest reaches its host over vsock.
. lab/tests/lib.sh

cat >"$LAB_OUT/vsock.py" <<'END'
import socket, sys
if sys.argv[1] == "listen":
    server = socket.socket(socket.AF_VSOCK)
    server.bind((socket.VMADDR_CID_ANY, 5555))
    server.listen()
    server.settimeout(60)
    connection, (cid, _) = server.accept()
    print(cid, connection.recv(100).decode())
else:
    client = socket.socket(socket.AF_VSOCK)
    client.connect((2, 5555))
    client.send(b"hello")
END
/usr/bin/python3 "$LAB_OUT/vsock.py" listen >"$work/out" &
listener=$!
sleep 1
guest /usr/bin/python3 "$LAB_OUT/vsock.py" connect
wait $listener
assert_eq "$(cat "$work/out")" "$(cat /run/lab/guest/cid) hello" "what the host received"
