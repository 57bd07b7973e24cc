# SPDX-License-Identifier: GPL-2.0
"""vm-exec against an agent that is played by the test: exit codes, leftovers of others, lost VMs."""

import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from vm import DEADLINE, VM_EXEC, VM_LOST


def frame(kind, payload=b""):
    return struct.pack("=II", ord(kind), len(payload)) + payload


def status(code):
    return frame("S", struct.pack("=I", code))


class VmExec(unittest.TestCase):
    def setUp(self):
        self.over = threading.Event()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.ports = f"{directory.name}/port"
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(f"{self.ports}.0")
        self.server.listen()

    def play(self, *parts, before=b"", begin=True, hang=False, stall=False):
        """Takes one request, answers BEGUN unless told otherwise, and the parts; keeps the request's text."""
        peer, _ = self.server.accept()
        _, length = struct.unpack("=II", peer.recv(8, socket.MSG_WAITALL))
        request = peer.recv(length, socket.MSG_WAITALL)
        self.text = request[16:].decode()
        peer.sendall(before + (frame("B", request[:8]) if begin else b"") + b"".join(parts))
        if stall:
            self.over.wait(20)
        if hang:
            peer.recv(1 << 20)
            peer.recv(1 << 20)
        peer.close()

    def run_with(self, *parts, options=(), command=("true",), **how):
        agent = threading.Thread(target=self.play, args=parts, kwargs=how)
        agent.start()
        done = subprocess.run([VM_EXEC, *options, self.ports, *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20, check=False)
        agent.join(20)
        return done

    def test_output_and_exit_code(self):
        done = self.run_with(frame("O", b"out"), frame("E", b"err"), status(7))
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("out", "err", 7))

    def test_leftovers_are_skipped(self):
        stale = b"half a frame" + frame("B", b"12345678") + frame("O", b"stale") + status(1)
        done = self.run_with(status(0), before=stale)
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_words_are_quoted(self):
        self.run_with(status(0), command=("echo", "a b", "c'd"))
        self.assertEqual(self.text, "'echo' 'a b' 'c'\\''d' ")

    def test_one_word_is_a_line(self):
        self.run_with(status(0), command=("echo a; echo b",))
        self.assertEqual(self.text, "echo a; echo b")

    def test_vm_goes_away(self):
        done = self.run_with()
        self.assertEqual(done.returncode, VM_LOST)
        self.assertIn("went away while", done.stderr)

    def test_deadline(self):
        done = self.run_with(options=("-t", "1"), hang=True)
        self.assertEqual(done.returncode, DEADLINE)
        self.assertIn("was killed", done.stderr)

    def test_vm_stops_within_a_frame(self):
        done = self.run_with(frame("O", b"out")[:-1], options=("-t", "1"), hang=True)
        self.assertEqual(done.returncode, DEADLINE)

    def test_leftover_without_an_answer(self):
        """As from a guest that reboots: it has lost the request."""
        done = self.run_with(before=b"stale", begin=False, options=("-t", "1"), hang=True)
        self.assertEqual(done.returncode, VM_LOST)
        self.assertIn("did not take the command in time", done.stderr)

    def test_lost_request_is_repeated(self):
        requests = []

        def lose_one():
            peer, _ = self.server.accept()
            for _ in range(2):
                _, length = struct.unpack("=II", peer.recv(8, socket.MSG_WAITALL))
                requests.append(peer.recv(length, socket.MSG_WAITALL))
                # The end of input, which belongs to it.
                peer.recv(8, socket.MSG_WAITALL)
            peer.sendall(frame("B", requests[0][:8]) + status(0))
            peer.close()

        agent = threading.Thread(target=lose_one)
        agent.start()
        done = subprocess.run([VM_EXEC, "-t", "15", self.ports, "true"], stdin=subprocess.DEVNULL, timeout=20, check=False)
        agent.join(20)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(requests[0], requests[1])

    def test_input_that_nobody_reads(self):
        with open("/dev/zero", "rb") as zeroes:
            agent = threading.Thread(target=self.play, kwargs={"stall": True})
            agent.start()
            done = subprocess.run([VM_EXEC, "-i", "-t", "1", self.ports, "true"], stdin=zeroes, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=20, check=False)
        self.over.set()
        agent.join(20)
        self.assertEqual(done.returncode, DEADLINE)

    def test_no_vm(self):
        done = subprocess.run([VM_EXEC, "/nonexistent/port", "true"], capture_output=True, check=False)
        self.assertEqual(done.returncode, VM_LOST)


if __name__ == "__main__":
    unittest.main()
