# SPDX-License-Identifier: GPL-2.0
"""Stands between perf kvm record and an agent, and keeps the recording that passes.

usage: kvm_agent_tap.py LISTEN AGENT FILE
"""

import os
import select
import socket
import struct
import sys

DATA = 10


class Frames:
    """Takes the frames of a stream apart, and writes what DATA frames have to a file."""

    def __init__(self, out):
        self.out = out
        self.rest = b""

    def feed(self, piece):
        self.rest += piece
        while len(self.rest) >= 16:
            size, kind, fixed, _, _ = struct.unpack_from("<IHHII", self.rest)
            if len(self.rest) < size:
                return
            if kind == DATA:
                self.out.write(self.rest[16 + fixed:size])
            self.rest = self.rest[size:]


def forward(host, agent, frames):
    other = {host: agent, agent: host}
    while True:
        for sock in select.select([host, agent], [], [])[0]:
            piece = sock.recv(65536)
            if not piece:
                return
            if sock is agent:
                frames.feed(piece)
            other[sock].sendall(piece)


def main():
    listen, path, name = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listen)
    listener.listen()
    while True:
        host = listener.accept()[0]
        agent = socket.socket(socket.AF_UNIX)
        agent.connect(path)
        with open(name + ".part", "wb") as out:
            try:
                forward(host, agent, Frames(out))
            except OSError:
                pass  # the recording is as long as it is
        host.close()
        agent.close()
        os.rename(name + ".part", name)


main()
