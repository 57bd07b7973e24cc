# SPDX-License-Identifier: GPL-2.0
"""Makes a large perf.data file of a small one: its records again and again, each time later.

Prints how many records with a time are in it, and the first time.
"""

import struct
import sys

# Offsets in the header of the file, and of the attr.
DATA_SIZE, FEATURES, SAMPLE_TYPE = 48, 72, 24
SAMPLE, FINISHED_ROUND, USER_TYPES = 9, 68, 64
TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER = 1 << 1, 1 << 2, 1 << 6, 1 << 9, 1 << 7, 1 << 16
IP, ADDR = 1 << 0, 1 << 3


def count(sample_type, bits):
    return bin(sample_type & bits).count("1")


class Layout:
    """Where the records of an event have their time, in words: from the end of the header, and from the end."""

    def __init__(self, sample_type):
        if not sample_type & TIME or not sample_type & IDENTIFIER:
            raise ValueError("an event was recorded without times or identifiers")
        self.sample_time = count(sample_type, IDENTIFIER | IP | TID)
        self.trailer_time = 1 + count(sample_type, ID | STREAM_ID | CPU | IDENTIFIER)


class Recording:
    def __init__(self, path):
        self.raw = open(path, "rb").read()
        magic, _, self.attr_size, attrs, attrs_size, self.data, self.data_size = \
            struct.unpack_from("<8sQQQQQQ", self.raw)
        if magic != b"PERFILE2" or attrs > self.data:
            raise ValueError(f"{path}: is laid out as no perf.data of perf record's")
        self.layouts = {}
        for pos in range(attrs, attrs + attrs_size, self.attr_size):
            self.add_ids(pos)
        self.scan()

    def add_ids(self, attr):
        layout = Layout(struct.unpack_from("<Q", self.raw, attr + SAMPLE_TYPE)[0])
        offset, size = struct.unpack_from("<QQ", self.raw, attr + self.attr_size - 16)
        for number in struct.unpack_from(f"<{size // 8}Q", self.raw, offset):
            self.layouts[number] = layout
        self.layouts.setdefault(0, layout)

    def time_of(self, pos, kind, size):
        """Where the record has its time."""
        if kind == SAMPLE:
            layout = self.layouts[struct.unpack_from("<Q", self.raw, pos + 8)[0]]
            return pos + 8 + 8 * layout.sample_time
        layout = self.layouts[struct.unpack_from("<Q", self.raw, pos + size - 8)[0]]
        return pos + size - 8 * layout.trailer_time

    def scan(self):
        """What is repeated are the records with a time, and the marks between rounds."""
        self.body, self.times = bytearray(), []
        pos, end = self.data, self.data + self.data_size
        while pos < end:
            kind, _, size = struct.unpack_from("<IHH", self.raw, pos)
            if kind < USER_TYPES:
                time = self.time_of(pos, kind, size)
                if struct.unpack_from("<Q", self.raw, time)[0]:
                    self.times.append((len(self.body) + time - pos) // 8)
                    self.body += self.raw[pos:pos + size]
            elif kind == FINISHED_ROUND:
                self.body += self.raw[pos:pos + size]
            pos += size
        words = memoryview(self.body).cast("Q")
        stamps = [words[i] for i in self.times]
        self.first, self.span = min(stamps), max(stamps) - min(stamps) + 1

    def grow(self, path, size):
        """Writes it with about so many bytes of records. Returns how many records with a time it has then."""
        words = memoryview(bytearray(self.body)).cast("Q")
        repeats = max(0, (size - self.data_size) // len(self.body))
        with open(path, "wb") as out:
            out.write(self.raw[:self.data + self.data_size])
            for _ in range(repeats):
                for i in self.times:
                    words[i] += self.span
                out.write(words)
            self.write_features(out, repeats * len(self.body))
            out.seek(DATA_SIZE)
            out.write(struct.pack("<Q", self.data_size + repeats * len(self.body)))
        return (1 + repeats) * len(self.times)

    def write_features(self, out, shift):
        """They come after the records, and a table of where they are before them."""
        rest = bytearray(self.raw[self.data + self.data_size:])
        nr = sum(bin(word).count("1") for word in struct.unpack_from("<4Q", self.raw, FEATURES))
        for i in range(nr):
            offset, = struct.unpack_from("<Q", rest, 16 * i)
            struct.pack_into("<Q", rest, 16 * i, offset + shift)
        out.write(rest)


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: recording.py FILE LARGE-FILE BYTES")
    recording = Recording(sys.argv[1])
    print(recording.grow(sys.argv[2], int(sys.argv[3])), recording.first)


main()
