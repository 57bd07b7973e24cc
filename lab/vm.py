# SPDX-License-Identifier: GPL-2.0
"""The host VM: boots it under QEMU, runs commands in it, and leaves nothing behind."""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
BUILD = REPO / "build"
OUT = BUILD / "lab-out"
LOGS = BUILD / "logs"
RESULTS = BUILD / "test-results.json"
KERNEL = BUILD / "kernel" / "arch" / "x86" / "boot" / "bzImage"
INIT = BUILD / "lab" / "init"
VM_EXEC = BUILD / "lab" / "vm-exec"
TSC_KHZ = BUILD / "lab" / "tsc-khz"

PORTS = 4           # LAB_PORTS in agent/frame.h
BOOT_DEADLINE = 120
TURN_DEADLINE = 3600    # for other labs of this machine to end
VM_LOST = 125       # exit code: the VM ended, or never came up
DEADLINE = 124      # exit code: the command was killed at its deadline

PR_SET_PDEATHSIG = 1

# kvm.pvpmu turns the host side of pvpmu on, pvpmu_host_load lets guests see stolen time;
# synthetic_pmu stands in for a PMU that TCG lacks.
DEFAULT_APPEND = "kvm.pvpmu=1 kvm.pvpmu_host_load=1 kvm.perf_clock=1"
TCG_APPEND = "synthetic_pmu"


class VMLost(Exception):
    """The VM is not there (any more); says why, as far as is known."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_on_signals():
    """Lets the with statements clean up when the process is told to end."""
    def end(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)


def take_turn():
    """Waits until no other lab runs from this repository; returns the lock, an open file.

    Two emulated machines on a machine of two processors starve each other, and
    then deadlines pass that say nothing about what is tested.
    """
    lock = open(BUILD / ".vm.lock", "w", encoding="ascii")
    until = time.monotonic() + TURN_DEADLINE
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > until:
                lock.close()
                raise VMLost(f"another lab has run for {TURN_DEADLINE} s; end it and start again") from None
        if not told:
            print("waiting for another lab of this repository to end", file=sys.stderr, flush=True)
            told = True
        time.sleep(1)


class Pulse(threading.Thread):
    """Sends a byte into the VM ten times a second, until its socket is closed.

    QEMU's TCG, when it emulates SVM, changes the word of a CPU's pending
    interrupts in two threads without a lock. An interrupt can so be lost until
    the next one comes from outside, and a VM that then sleeps does so for good.
    """

    PERIOD = 0.1

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)

    def run(self):
        while True:
            time.sleep(self.PERIOD)
            try:
                self.socket.send(b".")
            except BlockingIOError:
                continue
            except OSError:
                return

    def stop(self):
        self.socket.close()


class HostVM:
    """with HostVM() as vm: vm.run("uname -r")"""

    def __init__(self, accel="tcg", cpus=1, mem="3G", append="", console=None, kernel=KERNEL,
                 qemu_args=()):
        self.accel = accel
        self.cpus = cpus
        self.mem = mem
        self.append = append
        self.console = Path(console or LOGS / "host-console.log")
        self.kernel = kernel
        self.qemu_args = list(qemu_args)
        self.dir = None
        self.qemu = None
        self.turn = None
        self.pulse = None

    def __enter__(self):
        try:
            self.turn = take_turn()
            self.start()
            self.wait_for_agent()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def kernel_command_line(self):
        words = ["console=ttyS0", "panic=-1", "oops=panic", "quiet",
                 "root=rootfs", "rootfstype=9p", "ro",
                 "rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=loose",
                 f"init={INIT}", f"LAB_REPO={REPO}", f"LAB_OUT={OUT}", f"LAB_ACCEL={self.accel}",
                 "LAB_NAME=host", DEFAULT_APPEND]
        if self.accel == "tcg":
            khz = subprocess.run([TSC_KHZ], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
            words += ["tsc=reliable", f"tsc_early_khz={khz}", TCG_APPEND]
        return " ".join(words + [self.append]).strip()

    def command(self):
        """QEMU's command line."""
        # Two CPUs in threads of their own lose a vCPU's state now and then: it ends in a triple fault.
        threads = "multi" if self.cpus == 1 else "single"
        machine = {
            "tcg": ["-accel", f"tcg,thread={threads}", "-cpu", "EPYC,+svm,+npt,+invtsc"],
            "kvm": ["-accel", "kvm", "-cpu", "host,migratable=off"],
        }[self.accel]
        ports = ["-device", "virtio-serial"]
        for i in range(PORTS):
            ports += ["-chardev", f"socket,id=lab{i},path={self.dir}/port.{i},server=on,wait=off",
                      "-device", f"virtserialport,chardev=lab{i},name=lab.{i}"]
        ports += ["-chardev", f"socket,id=pulse,path={self.dir}/pulse,server=on,wait=off",
                  "-device", "virtserialport,chardev=pulse,name=pulse"]
        share = "security_model=none,multidevs=remap"
        return ["qemu-system-x86_64", *machine, "-smp", str(self.cpus), "-m", self.mem,
                "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", f"file:{self.console}", "-kernel", str(self.kernel),
                "-append", self.kernel_command_line(),
                "-fsdev", f"local,id=root,path=/,readonly=on,{share}",
                "-device", "virtio-9p-pci,fsdev=root,mount_tag=rootfs",
                "-fsdev", f"local,id=out,path={OUT},{share}",
                "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
                *ports, *self.qemu_args]

    def start(self):
        for path, target in ((self.kernel, "kernel"), (INIT, "lab")):
            if not path.exists():
                raise VMLost(f"{path} is missing: make {target}")
        self.dir = tempfile.mkdtemp(prefix="pvperf-")
        self.console.parent.mkdir(parents=True, exist_ok=True)
        OUT.mkdir(parents=True, exist_ok=True)
        self.qemu = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                     stderr=open(f"{self.dir}/qemu.log", "wb"),
                                     start_new_session=True, preexec_fn=die_with_parent)

    def wait_for_agent(self):
        deadline = time.monotonic() + BOOT_DEADLINE
        while not os.path.exists(f"{self.dir}/pulse"):
            if self.qemu.poll() is not None or time.monotonic() > deadline:
                raise self.lost("QEMU did not start")
            time.sleep(0.02)
        self.pulse = Pulse(f"{self.dir}/pulse")
        self.pulse.start()
        if self.run("true", timeout=BOOT_DEADLINE, stderr=subprocess.DEVNULL).returncode:
            raise self.lost(f"the host VM did not come up within {BOOT_DEADLINE} s")

    def lost(self, what):
        """An exception that carries what is known of the VM's end."""
        qemu_log = Path(self.dir, "qemu.log").read_text(errors="replace").strip()
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        tail = "\n".join(console.splitlines()[-15:])
        return VMLost("\n".join(filter(None, [what, qemu_log, f"last lines of {self.console}:", tail])))

    def run(self, command, timeout=0, tty=False, stdin=False, **popen):
        """Runs a shell command in the VM. The result's returncode is the command's, or VM_LOST or DEADLINE."""
        options = ["-t", str(timeout)] if timeout else []
        options += ["-T"] if tty else ["-i"] if stdin else []
        return subprocess.run([VM_EXEC, *options, f"{self.dir}/port", command],
                              preexec_fn=die_with_parent, check=False, **popen)

    def alive(self):
        return self.qemu is not None and self.qemu.poll() is None

    def stop(self):
        if self.pulse:
            self.pulse.stop()
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        if self.turn:
            self.turn.close()
