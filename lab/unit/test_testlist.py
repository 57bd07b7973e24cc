# SPDX-License-Identifier: GPL-2.0
"""How lab/tests.toml is read, and which tests share a host VM."""

import tempfile
import unittest
from pathlib import Path

from testlist import batches, read_tests, select

ONE = '[[test]]\nname = "one"\ngroup = "a"\ntimeout = 5\n'
TWO = '[[test]]\nname = "two"\ngroup = "b"\ntimeout = 5\nappend = "nosmp"\n'


class TestList(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "tests.toml")
            path.write_text(text)
            return read_tests(path)

    def test_script_defaults_to_the_name(self):
        self.assertEqual(self.read(ONE)[0].run, "lab/tests/one.sh")

    def test_unknown_field_is_named(self):
        with self.assertRaisesRegex(ValueError, "test one: .*colour"):
            self.read(ONE + 'colour = "red"\n')

    def test_same_name_twice(self):
        with self.assertRaisesRegex(ValueError, "two tests are named one"):
            self.read(ONE + ONE)

    def test_own_command_line_means_own_boot(self):
        shared, own = batches(self.read(ONE + TWO))
        self.assertEqual([t.name for t in shared], ["one"])
        self.assertEqual([t.name for t in own], ["two"])

    def test_select_by_name_or_group(self):
        tests = self.read(ONE + TWO)
        self.assertEqual([t.name for t in select(tests, ["two"])], ["two"])
        self.assertEqual([t.name for t in select(tests, ["a"])], ["one"])
        self.assertEqual(len(select(tests, [])), 2)

    def test_select_unknown(self):
        with self.assertRaisesRegex(ValueError, "three"):
            select(self.read(ONE), ["one", "three"])

    def test_the_real_list(self):
        for test in read_tests():
            self.assertGreater(test.timeout, 0, test.name)


if __name__ == "__main__":
    unittest.main()
