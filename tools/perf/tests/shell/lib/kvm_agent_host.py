# SPDX-License-Identifier: GPL-2.0
"""A host of perf kvm agent in a few lines, so that another implementation than
perf's own looks at the frames.

usage: kvm_agent_host.py SOCKET MODE ARGUMENT...

record OPTION...    record for RECORD_SECONDS of the environment, or 1; to stdout
count OPTION...     the same, but only count
stall OPTION...     the same, but say "started" and read nothing for 5 s
leave OPTION...     go away at the first data
wait                say HELLO, then "connected", then nothing
get KIND [PATH BUILD-ID [PID [MAX]]]    a file, to stdout
"""

import os
import select
import socket
import struct
import subprocess
import sys
import time

HELLO, WELCOME, ERROR = 1, 2, 3
START, STARTED, DATA, STOP, SUMMARY, BYE, GET_FILE, FILE = 8, 9, 10, 11, 12, 13, 14, 15
KINDS = ("kallsyms", "modules", "build-ids", "file", "vdso")
# Of perf's records.
LOST, SAMPLE, LOST_SAMPLES, TRACING_DATA = 2, 9, 13, 66


class Stream:
    """Counts in the pipe format what it says of samples and losses."""

    def __init__(self):
        self.rest = b""
        self.skip = 16
        self.samples = self.lost = self.lost_samples = 0

    def feed(self, data):
        self.rest += data
        while True:
            skipped = min(self.skip, len(self.rest))
            self.rest = self.rest[skipped:]
            self.skip -= skipped
            if self.skip or len(self.rest) < 24:
                return
            self.count(*struct.unpack_from("<IHH", self.rest))

    def count(self, kind, _misc, size):
        first, second = struct.unpack_from("<QQ", self.rest, 8)
        self.skip = size
        if kind == SAMPLE:
            self.samples += 1
        elif kind == LOST:
            self.lost += second
        elif kind == LOST_SAMPLES:
            self.lost_samples += first
        elif kind == TRACING_DATA:
            self.skip += first & 0xffffffff


class Host:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)

    def send(self, kind, fixed=b"", var=b""):
        header = struct.pack("<IHHII", 16 + len(fixed) + len(var), kind, len(fixed), 1, 0)
        try:
            self.sock.sendall(header + fixed + var)
        except BrokenPipeError:
            pass  # why is in what the agent sent

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                sys.exit("the agent closed the connection")
            data += piece
        return data

    def receive(self):
        size, kind, fixed, _, _ = struct.unpack("<IHHII", self.take(16))
        rest = self.take(size - 16)
        if kind == ERROR:
            sys.exit("error %d: %s" % (struct.unpack("<I", rest[:4])[0], rest[fixed:].decode()))
        return kind, rest[:fixed], rest[fixed:]

    def expect(self, kind):
        got, fixed, var = self.receive()
        if got != kind:
            sys.exit("frame %d, not %d" % (got, kind))
        return fixed, var

    def hello(self):
        # A longer HELLO is a newer host's.
        self.send(HELLO, b"PVAG" + struct.pack("<HH", 1, 9) + b"newer")
        self.expect(WELCOME)

    def start(self, options):
        self.send(START, bytes(8), b"".join(o.encode() + b"\0" for o in options))
        self.expect(STARTED)


def record(host, mode, seconds):
    start = end = None
    received = 0
    stream = Stream()
    while True:
        if start and not end and time.time() - start > seconds:
            host.send(STOP)
            end = time.time()
        if not select.select([host.sock], [], [], 30 if end or not start else 0.1)[0]:
            if end or not start:
                sys.exit("the agent is silent")
            continue
        kind, fixed, var = host.receive()
        if kind == SUMMARY:
            break
        if kind != DATA or struct.unpack("<Q", fixed)[0] != received:
            sys.exit("frame %d after %d bytes" % (kind, received))
        received += len(var)
        stream.feed(var)
        if mode == "record":
            sys.stdout.buffer.write(var)
        # perf writes nothing before its events are open
        start = start or time.time()
    numbers = struct.unpack("<6Q2I", fixed)
    print("bytes %d sent %d reserved %d %d %d %d status %d flags %d" % numbers, file=sys.stderr)
    now = time.time()
    seconds = (end or now) - (start or now)
    print("samples %d lost %d lost-samples %d in %.3f s"
          % (stream.samples, stream.lost, stream.lost_samples, seconds), file=sys.stderr)
    sys.stderr.write(var.decode())
    return numbers[0] == received


def get_file(host, kind, path="", build_id="", pid="0", limit=str(1 << 30)):
    wanted = bytes.fromhex(build_id)
    fixed = struct.pack("<IIQI20s", KINDS.index(kind), int(pid), int(limit), len(wanted), wanted)
    host.send(GET_FILE, fixed, path.encode())
    size = struct.unpack("<QI20s", host.expect(FILE)[0])[0]
    received = 0
    while received < size:
        fixed, var = host.expect(DATA)
        if struct.unpack("<Q", fixed)[0] != received:
            sys.exit("a frame after %d bytes" % received)
        received += len(var)
        sys.stdout.buffer.write(var)
    return received == size


# The session is the agent's only child, and reading its recording is what it should not
# do: rchar has each byte that read() and its variants gave it, be it of the pipe, the
# connection or /proc, and none that was spliced. The thread's file is without what children
# read that it has waited for.
def print_read():
    agent = os.environ.get("AGENT")
    if not agent:
        return
    session = subprocess.check_output(["pgrep", "-P", agent], text=True).strip()
    try:
        with open("/proc/%s/task/%s/io" % (session, session)) as io:
            print(io.readline().strip(), file=sys.stderr)
    except OSError as error:
        print("rchar unknown:", error, file=sys.stderr)


def main():
    path, mode, *arguments = sys.argv[1:]
    host = Host(path)
    host.hello()
    if mode == "wait":
        print("connected", flush=True)
        time.sleep(30)
        return 0
    if mode == "get":
        good = get_file(host, *arguments)
    else:
        host.start(arguments)
        if mode == "leave":
            host.expect(DATA)
            return 0
        if mode == "stall":
            print("started", flush=True)
            time.sleep(5)
        good = record(host, mode, float(os.environ.get("RECORD_SECONDS", "1")))
    print_read()
    host.send(BYE)
    return 0 if good else 1


sys.exit(main())
