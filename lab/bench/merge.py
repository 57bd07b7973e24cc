#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measures perf kvm merge, beside perf inject --guest-data and cat.

A few seconds of this machine are recorded twice, as a host and as a guest, with
callchains and context switches, while two threads have the names of vCPUs. Both
files are made larger by repeating their records with later times. All files are
in the page cache before they are read, nothing waits to be written out when a
run begins, and the programs take turns. A run is what the process takes, from
its start to its end. What is printed are medians.

events/s counts what was read, of both files: inject leaves out a guest's
samples, and merge writes them.
"""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path


RUNS = 5
MB = 1 << 20
SIZES = {"64MB": 64 * MB, "1GB": 1024 * MB}
OUTPUTS = {"merge": "merged", "cat": "copy", "inject": "injected"}
RECORD = ["-q", "-a", "-g", "-e", "cpu-clock", "-F", "4000", "--switch-events"]
# Processes that compute, and two that wake each other.
WORK = "{0} bench mem memcpy -s 64MB -l 100 & {0} bench sched pipe -l 10000 & {0} bench syscall basic -l 10000000 & wait"


def name_thread(name):
    Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)


def play_vcpu(number, ended):
    name_thread(f"CPU {number}/KVM")
    while not ended.wait(0.001):
        pass


def record(perf, path):
    """With two threads of this process that could be a VM's."""
    ended = threading.Event()
    threads = [threading.Thread(target=play_vcpu, args=(i, ended)) for i in range(os.cpu_count())]
    for thread in threads:
        thread.start()
    try:
        subprocess.run([perf, "record", "-o", path, *RECORD, "--", "sh", "-c", WORK.format(perf)],
                       stdout=subprocess.DEVNULL, check=True)
    finally:
        ended.set()


def run(command, output=os.devnull):
    """(seconds, megabytes of memory at most, seconds of a CPU)"""
    # To remove an old output takes longer than to write a new one, and cat's is cut to nothing here.
    for part in [output, *command]:
        if Path(part).name in OUTPUTS.values():
            Path(part).unlink(missing_ok=True)
    os.sync()
    with open(output, "wb") as out, open(os.devnull, "wb") as nowhere:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench of merge: exit code {process.returncode} of: {' '.join(map(str, command))}")
    return seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def take_turns(commands, runs=RUNS):
    """Medians of what run() gives, by name. Each is a command and where its stdout goes."""
    results = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, output) in commands.items():
            results[name].append(run(command, output))
    return {name: [statistics.median(values) for values in zip(*pairs)] for name, pairs in results.items()}


def warm(files):
    for path in files:
        with open(path, "rb") as file:
            while file.read(MB):
                pass


def grow(small, large, size):
    """(records, time of the first one). In a process of its own: this one must stay small, or its size is measured."""
    script = Path(__file__).with_name("recording.py")
    text = subprocess.run([sys.executable, script, small, large, str(size)], stdout=subprocess.PIPE, check=True).stdout
    return map(int, text.split())


class Bench:
    def __init__(self, perf, directory):
        self.perf, self.dir = perf, directory
        self.small = [directory / "host", directory / "guest"]
        for path in self.small:
            record(perf, path)

    def grow(self, size):
        """Half of it is the host's. Returns the files, and how many records they have."""
        files = [path.with_suffix(".large") for path in self.small]
        records, first = zip(*(grow(small, large, size // 2) for small, large in zip(self.small, files)))
        # The guest's recording begins when the host's does.
        self.offset = first[0] - first[1]
        warm(files)
        return files, sum(records)

    def commands(self, files):
        host, guest = files
        pid = os.getpid()
        return {
            "merge": ([self.perf, "kvm", "merge", host, f"--guest={guest},pid={pid},pv-offset={self.offset}",
                       "-o", self.dir / "merged"], os.devnull),
            "cat": (["cat", host, guest], self.dir / "copy"),
            "inject": ([self.perf, "inject", "-i", host, f"--guest-data={guest},{pid},{-self.offset}",
                        "-o", self.dir / "injected"], os.devnull),
        }

    def measure(self, label, names):
        """Prints what was read and written, and how fast. Returns the medians."""
        files, records = self.grow(SIZES[label])
        commands = self.commands(files)
        medians = take_turns({name: commands[name] for name in names})
        size = sum(path.stat().st_size for path in files)
        print(f"{label}: {size} bytes, {records} records with times in a host's and a guest's file")
        for name, (seconds, memory, cpu) in medians.items():
            written = (self.dir / OUTPUTS[name]).stat().st_size
            print(f"{name}: {seconds:.3f} s, {cpu:.3f} s of a CPU, {records / seconds / 1e6:.2f} million records/s read, "
                  f"{size / seconds / 1e6:.0f} MB/s read, {written} bytes written, {memory:.1f} MB of memory")
        for path in files:
            path.unlink()
        return medians


def ratio(medians, name):
    return medians[name][0] / medians["merge"][0]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: merge.py PERF DIRECTORY")
    perf, directory = (Path(arg).resolve() for arg in sys.argv[1:])
    directory.mkdir(parents=True, exist_ok=True)
    try:
        bench = Bench(perf, directory)
        small = bench.measure("64MB", ["merge", "cat", "inject"])
        large = bench.measure("1GB", ["merge", "cat"])
    finally:
        shutil.rmtree(directory)
    print(f"bench: merge_vs_inject_ratio {ratio(small, 'inject'):.1f} times")
    print(f"bench: merge_vs_cat_ratio {ratio(large, 'cat'):.2f} times")
    print(f"bench: merge_rss_mb_64MB {small['merge'][1]:.1f} MB")
    print(f"bench: merge_rss_mb_1GB {large['merge'][1]:.1f} MB")


main()
