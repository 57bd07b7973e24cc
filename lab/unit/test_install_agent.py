# SPDX-License-Identifier: GPL-2.0
"""What make install-perf installs of the agent besides the program."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "tools" / "perf" / "Documentation"


class InstallAgent(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dest = Path(directory.name) / "a root"

    def install(self, prefix, sysconfdir):
        subprocess.run([REPO / "scripts" / "install-agent", prefix, sysconfdir], cwd=REPO, check=True,
                       env=os.environ | {"DESTDIR": str(self.dest)}, stdout=subprocess.DEVNULL)

    def exec_start(self, prefix):
        unit = self.dest / prefix / "lib/systemd/system/perf-kvm-agent.service"
        return [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]

    def test_the_unit_runs_what_was_installed(self):
        self.install("/usr/local", "/etc")
        self.assertEqual(self.exec_start("usr/local"), [
            "ExecStart=/usr/local/bin/perf kvm agent --listen vsock --policy /etc/perf-kvm-agent.conf"])
        self.install("/opt/perf", "/opt/perf/etc")
        self.assertEqual(self.exec_start("opt/perf"), [
            "ExecStart=/opt/perf/bin/perf kvm agent --listen vsock --policy /opt/perf/etc/perf-kvm-agent.conf"])

    def test_for_usr_the_unit_is_the_shipped_one(self):
        self.install("/usr", "/etc")
        unit = self.dest / "usr/lib/systemd/system/perf-kvm-agent.service"
        self.assertEqual(unit.read_text(), (DOCS / "perf-kvm-agent.service").read_text())
        self.assertEqual(unit.stat().st_mode & 0o777, 0o644)

    def test_a_policy_that_is_there_stays(self):
        self.install("/usr", "/etc")
        policy = self.dest / "etc/perf-kvm-agent.conf"
        self.assertEqual(policy.read_text(), (DOCS / "perf-kvm-agent.conf").read_text())
        policy.write_text("workload no\n")
        self.install("/usr", "/etc")
        self.assertEqual(policy.read_text(), "workload no\n")

    def test_the_makefile_gives_both_directories(self):
        """A dry run: building perf and its man pages takes minutes."""
        def line(*args):
            out = subprocess.run(["make", "-n", "install-perf", "DESTDIR=/d", *args], cwd=REPO, check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            return [text.strip() for text in out.splitlines() if "install-agent" in text]

        self.assertEqual(line(), ["DESTDIR=/d scripts/install-agent /usr/local /etc"])
        self.assertEqual(line("prefix=/opt/p"), ["DESTDIR=/d scripts/install-agent /opt/p /opt/p/etc"])
        self.assertEqual(line("prefix=/opt/p", "sysconfdir=/c"), ["DESTDIR=/d scripts/install-agent /opt/p /c"])


if __name__ == "__main__":
    unittest.main()
