# SPDX-License-Identifier: GPL-2.0
"""How scripts/compare-stock compares and judges the base's KVM selftests."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare-stock"
LOADER = importlib.machinery.SourceFileLoader("compare_stock", str(SCRIPT))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare_stock", LOADER))
LOADER.exec_module(compare)


class CompareStock(unittest.TestCase):
    def test_rows(self):
        self.assertEqual(compare.parse("x86_64/a_test failed still ran after 60 s"),
                         ("x86_64/a_test", "failed", "still ran after 60 s"))
        self.assertEqual(compare.parse("steal_time passed"), ("steal_time", "passed", ""))

    def test_worse(self):
        base = {"a": ("passed", ""), "b": ("skipped", ""), "c": ("failed", ""), "d": ("passed", "")}
        ours = {"a": ("skipped", ""), "b": ("passed", ""), "c": ("failed", "")}
        self.assertEqual(compare.worse_tests(base, ours), ["a", "d"])

    def test_suspects_are_judged_by_both_kernels(self):
        counts = {"base": {"steady": 0, "shaky": 9}, "ours": {"steady": 2, "shaky": 11}}
        compare.failures = lambda _tests, _accel, kernel: counts[kernel]
        self.assertEqual(compare.judge(["steady", "shaky"], "tcg", ["base", "ours"]), ["steady"])


if __name__ == "__main__":
    unittest.main()
