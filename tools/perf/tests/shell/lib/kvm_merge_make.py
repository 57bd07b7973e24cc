#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes recordings in the format of pipes, whose every record is known.

usage: kvm_merge_make.py host|guest < LINES > FILE

A line is one record:
  host:  enter TIME PID TID VCPU | leave TIME PID TID VCPU | lost TIME NUMBER |
         lost-samples NUMBER | clock|both-clock TIME PID TID MODE
  guest: sample TIME CPU [ID] | lost|lost-samples TIME CPU NUMBER |
         throttle|read|switch|namespaces|ksymbol|text-poke TIME CPU
MODE is a cpumode, as 5 for a guest's user; clock's event excludes guests, both-clock's does not.
"""

import struct
import sys

IP, TID, TIME, CPU, PERIOD, RAW, IDENTIFIER = 1, 2, 4, 0x80, 0x100, 0x400, 0x10000
SAMPLE_TYPE = IP | TID | TIME | CPU | PERIOD | IDENTIFIER
SAMPLE_ID_ALL = 1 << 18
EXCLUDE_GUEST = 1 << 20
TRACEPOINT, SOFTWARE = 2, 1
ENTRY, EXIT, CLOCK, BOTH_CLOCK = 7001, 7002, 7003, 7004

FORMAT = """name: {name}
ID: {number}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned int vcpu_id;\toffset:8;\tsize:4;\tsigned:0;

print fmt: "vcpu %u", REC->vcpu_id
"""

HEADER_PAGE = b"""\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
"""


def record(kind, body, misc=0):
    return struct.pack("=IHH", kind, misc, 8 + len(body)) + body


def attr(kind, config, number, raw, flags=0):
    body = struct.pack("=IIQQQQQ", kind, 136, config, 1, SAMPLE_TYPE | raw, 0, SAMPLE_ID_ALL | flags)
    return record(64, body.ljust(136, b"\0") + struct.pack("=Q", number))


def name(number, text):
    text = text.encode() + b"\0"
    return record(78, struct.pack("=QQ", 2, number) + text.ljust((len(text) + 7) & ~7, b"\0"))


def feature(number, body):
    return record(80, struct.pack("=Q", number) + body)


def tracing_data():
    events = [FORMAT.format(name=event, number=number).encode()
              for event, number in (("kvm_entry", ENTRY), ("kvm_exit", EXIT))]
    data = b"\x17\x08\x44tracing0.6\0" + struct.pack("=BBI", sys.byteorder == "big", 8, 4096)
    data += b"header_page\0" + struct.pack("=Q", len(HEADER_PAGE)) + HEADER_PAGE
    data += b"header_event\0" + struct.pack("=Q", 0)
    data += struct.pack("=II", 0, 1) + b"kvm\0" + struct.pack("=I", len(events))
    for event in events:
        data += struct.pack("=Q", len(event)) + event
    data += struct.pack("=IIQ", 0, 0, 0)
    data = data.ljust((len(data) + 7) & ~7, b"\0")
    return record(66, struct.pack("=II", len(data), 0)) + data


def sample(number, time, cpu, pid, tid, raw=b"", mode=1):
    body = struct.pack("=QQIIQIIQ", number, 0xffffffff81000000, pid, tid, time, cpu, 0, 1)
    if raw:
        body += struct.pack("=I", len(raw)) + raw
    return record(9, body, mode)


def trailer(time, cpu=0, number=ENTRY):
    return struct.pack("=IIQIIQ", 0, 0, time, cpu, 0, number)


def host_record(kind, *args):
    if kind == "lost":
        return record(2, struct.pack("=QQ", ENTRY, args[1]) + trailer(args[0]))
    if kind == "lost-samples":
        return record(13, struct.pack("=Q", args[0]) + trailer(0))
    if kind in ("clock", "both-clock"):
        time, pid, tid, mode = args
        return sample(CLOCK if kind == "clock" else BOTH_CLOCK, time, 0, pid, tid, mode=mode)
    time, pid, tid, vcpu = args
    number = ENTRY if kind == "enter" else EXIT
    # With its size, the raw data has a multiple of eight bytes.
    raw = struct.pack("=HBBiI", number, 0, 0, tid, vcpu)
    return sample(number, time, 0, pid, tid, raw)


# The numbers of guests' records, and what they have before the trailer
OTHERS = {
    "lost": (2, lambda time, nr: struct.pack("=QQ", CLOCK, nr)),
    "lost-samples": (13, lambda time, nr: struct.pack("=Q", nr)),
    "throttle": (5, lambda time: struct.pack("=QQQ", time, CLOCK, CLOCK)),
    "read": (8, lambda time: struct.pack("=IIQ", 1, 1, 5)),
    "switch": (14, lambda time: b""),
    "namespaces": (16, lambda time: struct.pack("=IIQQQ", 1, 1, 1, 4, 5)),
    "ksymbol": (17, lambda time: struct.pack("=QIHH8s", 0xffffffffc0000000, 64, 1, 0, b"symbol")),
    "text-poke": (20, lambda time: struct.pack("=QHH4s", 0xffffffff81000000, 2, 2,
                                               b"\x66\x90\xeb\x05")),
}


def guest_record(kind, time, cpu, *args):
    if kind == "sample":
        return sample(args[0] if args else CLOCK, time, cpu, 1, 1)
    number, body = OTHERS[kind]
    return record(number, body(time, *args) + trailer(time, cpu, CLOCK), 1)


def main():
    out = sys.stdout.buffer
    is_host = sys.argv[1] == "host"
    out.write(struct.pack("=8sQ", b"PERFILE2", 16))
    if is_host:
        out.write(attr(TRACEPOINT, ENTRY, ENTRY, RAW) + attr(TRACEPOINT, EXIT, EXIT, RAW))
        out.write(attr(SOFTWARE, 0, CLOCK, 0, EXCLUDE_GUEST) + name(CLOCK, "clock"))
        out.write(attr(SOFTWARE, 0, BOTH_CLOCK, 0) + name(BOTH_CLOCK, "both-clock"))
        out.write(name(ENTRY, "kvm:kvm_entry") + name(EXIT, "kvm:kvm_exit") + tracing_data())
    else:
        out.write(attr(SOFTWARE, 0, CLOCK, 0) + name(CLOCK, "kvm:kvm_entry"))
        out.write(feature(7, struct.pack("=II", 4, 4)))
    for line in sys.stdin:
        kind, *args = line.split()
        make = host_record if is_host else guest_record
        out.write(make(kind, *map(int, args)))


main()
