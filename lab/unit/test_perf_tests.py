# SPDX-License-Identifier: GPL-2.0
"""How scripts/compare-perf-tests judges perf's own tests."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

import perftests

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare-perf-tests"
LOADER = importlib.machinery.SourceFileLoader("compare_perf_tests", str(SCRIPT))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare_perf_tests", LOADER))
LOADER.exec_module(compare)

OUTPUT = """\
  1: vmlinux symtab matches kallsyms                                 : Skip (permissions)
  6.1: Test event parsing                                            : Ok
 90: perf record tests                                               : FAILED!
not a row: FAILED!
"""


class PerfTests(unittest.TestCase):
    def test_rows(self):
        self.assertEqual(perftests.results_in(OUTPUT), {
            "vmlinux symtab matches kallsyms": "Skip (permissions)",
            "Test event parsing": "Ok", "perf record tests": "FAILED!"})

    def test_only_ours_is_suspect(self):
        base = {"a": "Ok", "b": "FAILED!", "c": "Skip"}
        ours = {"a": "FAILED!", "b": "FAILED!", "c": "FAILED!", "new": "FAILED!"}
        self.assertEqual(compare.suspects(base, ours), ["a", "c", "new"])

    def test_counts_both_sides(self):
        counts = compare.failures("a", [("base", "s"), ("ours", "s")],
                                  lambda perf, _source, name: {name: "FAILED!" if perf == "ours" else "Ok"})
        self.assertEqual(counts, [0, compare.ROUNDS])

    def test_verdict(self):
        for of_base, of_ours, worse in (
                (0, 0, False), (0, 1, False), (0, 2, True), (8, 12, False), (10, 20, True), (20, 20, False)):
            self.assertEqual(compare.is_worse(of_base, of_ours), worse)


if __name__ == "__main__":
    unittest.main()
