# SPDX-License-Identifier: GPL-2.0
"""Makes the inputs that fuzzing begins with: recordings of this machine, and frames of the agent's protocol."""

import struct
import subprocess
from pathlib import Path

# Recordings of a program that ends at once.
RECORDINGS = {
    "plain": ["-e", "cpu-clock:u"],
    "chains": ["-g", "-a", "-F", "2000", "-e", "cpu-clock,page-faults", "--switch-events"],
    "group": ["-a", "-F", "2000", "-e", "{cpu-clock,page-faults}:S"],
    "packed": ["-z", "-e", "cpu-clock,context-switches"],
    "stack": ["--call-graph", "dwarf,256", "-e", "cpu-clock", "--user-regs=ip,sp", "-d", "-W"],
    "names": ["--namespaces", "--all-cgroups", "-e", "page-faults", "-c", "1"],
    "trace": ["-a", "-e", "sched:sched_switch,irq:irq_handler_entry,cpu-clock"],
}
# The same in the format of pipes
PIPES = {
    "pipe": ["-g", "-a", "-F", "2000", "-e", "cpu-clock,page-faults"],
    "pipe-packed": ["-z", "-e", "cpu-clock"],
    "pipe-trace": ["-a", "-e", "sched:sched_switch,cpu-clock"],
}
TRACEPOINTS = ["sched/sched_wakeup", "sched/sched_switch", "irq/irq_handler_entry", "kmem/kmalloc",
               "skb/kfree_skb", "syscalls/sys_enter_openat"]
FORMAT = b"""name: irq_handler_entry
ID: 374
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;

print fmt: "name=%s %s", __get_str(name), REC->common_pid ? __print_symbolic(REC->common_pid, { 1, "one" }) : "none"
"""
MAGIC = 0x47415650
HELLO, WELCOME, ERROR, GET_CAPS, CAPS, PROBE, PROBE_REPLY, START, STARTED, DATA, STOP, SUMMARY, BYE = range(1, 14)
CLOCK = 16


def record(perf, directory):
    """Those that this machine can make."""
    made = []
    for name, options in RECORDINGS.items():
        path = directory / name
        done = subprocess.run([perf, "record", "-q", "-B", "-N", "-m", "4", "-o", path, *options, "--", "true"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            path.unlink(missing_ok=True)
            print(f"fuzz: cannot record {' '.join(options)} here")
        else:
            made.append(path)
    return made


def frame(kind, number, fixed=b"", var=b""):
    return struct.pack("<IHHII", 16 + len(fixed) + len(var), kind, len(fixed), number, 0) + fixed + var


def pipe(perf, *options):
    done = subprocess.run([perf, "record", "-q", "-B", "-N", "-m", "4", "-o", "-", *options, "--", "true"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode:
        print(f"fuzz: cannot record {' '.join(options)} into a pipe here")
    return done.stdout


def agent_frames(stream):
    """As an agent answers, with the numbers that the client gives its requests."""
    caps = b"release 6.12.0\nmachine x86_64\ncpus 2\nperf 6.12\nclocks perf monotonic\nperf_pv_clock page: valid\n" \
        b"start-flags 1\n"
    reply = struct.pack("<IIQ", 1, 0, 10**9)
    start = [frame(WELCOME, 1, struct.pack("<IHH", MAGIC, 1, 0)), frame(CAPS, 2, var=caps),
             frame(PROBE_REPLY, 3, reply), frame(PROBE_REPLY, 4, reply), frame(STARTED, 5)]
    clocks = [frame(CLOCK, 5, struct.pack("<QQQQqII", *clock, 0))
              for clock in ((9, 9, 0x77, 1, 5, 1), (20, 30, 0x77, 2, 6, 1), (90, 90, 0x77, 2, 6, 3))]
    half = len(stream) // 2
    data = [frame(DATA, 5, struct.pack("<Q", 0), stream[:half]),
            frame(DATA, 5, struct.pack("<Q", half), stream[half:])]
    summary = frame(SUMMARY, 5, struct.pack("<6QII", len(stream), len(stream), 1, 0, 0, 0, 0, 0), b"done\n")
    error = frame(ERROR, 2, struct.pack("<II", 5, 0), b"max-rate: 4000 is the most\n")
    return {"whole": b"".join(start + data + [summary]),
            "clock": b"".join(start + clocks[:2] + data + clocks[2:] + [summary]),
            "order": b"".join(data + start + [summary]),
            "refused": start[0] + error, "twice": b"".join(start + data + data)}


def host_frames():
    def begin(options):
        return frame(START, 4, struct.pack("<II", 0, 0), b"\0".join(options) + b"\0")

    hello = frame(HELLO, 1, struct.pack("<IHH", MAGIC, 1, 1))
    probe = frame(PROBE, 3, struct.pack("<II", 1, 0))
    rest = begin([b"--event=cpu-clock", b"--freq=99", b"--all-cpus"]) + frame(STOP, 5) + frame(BYE, 6)
    return {"whole": hello + frame(GET_CAPS, 2) + probe + rest, "order": probe + rest + hello,
            "paths": hello + begin([b"--output=../../etc/passwd"]) + begin([b"--event=/../x/", b"--all-cpus"])}


TEXTS = {
    "policy": b"# what may be\nevents cpu-clock cycles*\nmax-rate 4000\nring-memory 1M\nworkload no\n"
              b"sessions 2\nbandwidth 10M\nstall-timeout 30\nidle-timeout 60\nmin-period 1000\n",
    "options": b"--event=cpu-clock,sched:sched_switch/call-graph=fp/\0--freq=99\0--all-cpus\0--call-graph=fp\0"
               b"--mmap-pages=128\0",
    "workload": b"--all-cpus\0--event={cycles,instructions}:S\0--\0../../bin/sh\0-c\0true\0",
    "unix": b"unix:/run/../tmp/../../x", "vsock": b"vsock:3:4242", "virtio": b"virtio:org.perf.0",
    "caps": b"release 6.12.0\ncpus 99999999999\nmachine ../../x\nclocks perf\n",
}


def formats():
    """Of tracepoints, with a sample behind: as this kernel has them, or as one had."""
    sample = b"\0" + struct.pack("<HBBi", 374, 0, 0, 1) + b"name\0" * 20
    paths = [Path("/sys/kernel/tracing/events", name, "format") for name in TRACEPOINTS]
    found = {path.parent.name: path.read_bytes() + sample for path in paths if path.exists()}
    return found or {"made_up": FORMAT + sample}


def records(path):
    """The first event's layout and the first records of a recording."""
    data = path.read_bytes()
    attrs, _, pos, size = struct.unpack_from("<4Q", data, 24)
    sample_type, read_format = struct.unpack_from("<QQ", data, attrs + 24)
    branch, regs_user = struct.unpack_from("<QQ", data, attrs + 72)
    regs_intr, = struct.unpack_from("<Q", data, attrs + 96)
    found, end = [], pos + size
    while pos < end:
        kind, _, size = struct.unpack_from("<IHH", data, pos)
        if kind < 64 and sum(record[0] == kind for record in found) < 3:
            found.append((kind, data[pos:pos + size]))
        pos += size
    return struct.pack("<5Q", sample_type, read_format, branch, regs_user, regs_intr) + b"".join(r for _, r in found)


def write_all(directory, contents):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)


def make(perf, directory):
    """Everything, by target, below the directory."""
    merge = directory / "merge"
    merge.mkdir(parents=True, exist_ok=True)
    write_all(directory / "record", {path.name: records(path) for path in record(perf, merge)})
    pipes = {name: pipe(perf, *options) for name, options in PIPES.items()}
    write_all(merge, {name: data for name, data in pipes.items() if data})
    stream = pipe(perf, "-e", "cpu-clock:u")
    write_all(directory / "client", agent_frames(stream[:3000]))
    write_all(directory / "session", host_frames())
    write_all(directory / "frames", {**agent_frames(stream[:3000]), **host_frames()})
    write_all(directory / "stream", {"pipe": stream})
    write_all(directory / "unpack", {"pipe": stream[:3000], "packed": pipe(perf, "-e", "cpu-clock:u", "-F", "9999", "-z")})
    write_all(directory / "texts", TEXTS)
    write_all(directory / "format", formats())
