# SPDX-License-Identifier: GPL-2.0
"""The scripts around build/linux, on a base of a few files."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 1\n"
AUTHOR = ("-c", "user.name=Ann", "-c", "user.email=ann@localhost")


class Tree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.repo = Path(directory.name, "repo")
        self.linux = self.repo / "build" / "linux"
        shutil.copytree(SCRIPTS, self.repo / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        self.base = Path(directory.name, "base")
        self.write(self.base / "Makefile", MAKEFILE)
        self.write(self.base / "arch/x86/kvm/x86.c", "int a;\nint b;\n")
        self.write(self.base / "tools/perf/builtin.c", "int c;\n")

    @staticmethod
    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_script(self, *command, fails=False):
        done = subprocess.run([str(self.repo / "scripts" / command[0]), *command[1:]], cwd=self.repo,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(bool(done.returncode), fails, done.stdout)
        return done.stdout

    def update(self, **how):
        return self.run_script("update-tree", "6.12", str(self.base), **how)

    def git(self, *args):
        return subprocess.run(["git", *AUTHOR, *args], cwd=self.linux, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def commit_hook(self):
        self.write(self.linux / "arch/x86/kvm/x86.c", "int a;\nint hook;\nint b;\n")
        self.update()
        self.git("commit", "-qam", "KVM: x86: add a hook\n\nWhy.\n\nOverlay: arch/x86/kvm/new.c\n")

    def test_wrong_version(self):
        self.write(self.base / "Makefile", MAKEFILE.replace("12", "13"))
        self.assertIn("must be Linux 6.12.y, this is 6.13.1", self.update(fails=True))

    def test_edit_is_tracked_against_the_base(self):
        self.update()
        self.write(self.linux / "arch/x86/kvm/x86.c", "int a;\nint hook;\nint b;\n")
        self.update()
        self.assertIn("+int hook;", self.git("diff"))
        self.assertNotIn("+int a;", self.git("diff"))

    def test_overlay_is_copied_and_removed(self):
        self.write(self.repo / "arch/x86/kvm/new.c", "int n;\n")
        self.update()
        copy = self.linux / "arch/x86/kvm/new.c"
        stamp = copy.stat().st_mtime_ns
        self.update()
        self.assertEqual(copy.stat().st_mtime_ns, stamp)
        (self.repo / "arch/x86/kvm/new.c").unlink()
        self.update()
        self.assertFalse(copy.exists())

    def test_edited_copy_is_kept(self):
        self.write(self.repo / "arch/x86/kvm/new.c", "int n;\n")
        self.update()
        self.write(self.linux / "arch/x86/kvm/new.c", "int edited;\n")
        self.assertIn("arch/x86/kvm/new.c was edited", self.update(fails=True))
        self.assertEqual((self.linux / "arch/x86/kvm/new.c").read_text(), "int edited;\n")

    def test_overlay_may_not_hide_a_base_file(self):
        self.write(self.repo / "tools/perf/builtin.c", "int mine;\n")
        self.assertIn("is a file of the base", self.update(fails=True))

    def test_refresh_then_fresh_tree_gives_the_same(self):
        self.update()
        self.commit_hook()
        self.run_script("refresh-patches")
        self.assertEqual((self.repo / "patches/series").read_text(), "kvm/0001-KVM-x86-add-a-hook.patch\n")
        shutil.rmtree(self.linux)
        self.update()
        self.assertIn("int hook;", (self.linux / "arch/x86/kvm/x86.c").read_text())

    def test_refresh_is_stable(self):
        self.update()
        self.commit_hook()
        self.run_script("refresh-patches")
        patch = self.repo / "patches/kvm/0001-KVM-x86-add-a-hook.patch"
        first = patch.read_text()
        shutil.rmtree(self.linux)
        self.update()
        self.run_script("refresh-patches")
        self.assertEqual(patch.read_text(), first)

    def test_uncommitted_edit_survives_new_patches(self):
        self.update()
        self.commit_hook()
        self.run_script("refresh-patches")
        shutil.rmtree(self.linux)
        saved = (self.repo / "patches").rename(self.repo / "saved")
        self.update()
        self.write(self.linux / "tools/perf/builtin.c", "int mine;\n")
        saved.rename(self.repo / "patches")
        self.update()
        self.assertIn("int hook;", (self.linux / "arch/x86/kvm/x86.c").read_text())
        self.assertEqual((self.linux / "tools/perf/builtin.c").read_text(), "int mine;\n")

    def test_unsaved_commits_are_not_dropped(self):
        self.update()
        self.commit_hook()
        self.run_script("refresh-patches")
        self.write(self.linux / "arch/x86/kvm/x86.c", "int more;\n")
        self.git("commit", "-qam", "KVM: x86: more")
        self.write(self.repo / "patches/series", "")
        self.assertIn("commits that patches/ lacks", self.update(fails=True))

    def test_new_file_in_a_commit_is_refused(self):
        self.update()
        self.write(self.linux / "arch/x86/kvm/stray.c", "int s;\n")
        self.git("add", "arch/x86/kvm/stray.c")
        self.git("commit", "-qm", "KVM: x86: stray")
        self.assertIn("move it to the same path", self.run_script("refresh-patches", fails=True))

    def test_series_wants_an_owner_for_each_new_file(self):
        self.write(self.repo / "arch/x86/kvm/new.c", "int n;\n")
        self.write(self.repo / "arch/x86/kvm/orphan.c", "int o;\n")
        self.update()
        self.commit_hook()
        self.run_script("refresh-patches")
        self.assertIn("orphan.c: in the repository, but no patch", self.run_script("make-series", fails=True))


if __name__ == "__main__":
    unittest.main()
