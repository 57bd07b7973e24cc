# SPDX-License-Identifier: GPL-2.0
"""How scripts/hook-budget tells which function a line belongs to."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "hook-budget"
LOADER = importlib.machinery.SourceFileLoader("hook_budget", str(SCRIPT))
hook_budget = importlib.util.module_from_spec(importlib.util.spec_from_loader("hook_budget", LOADER))
LOADER.exec_module(hook_budget)

SOURCE = """\
static int limit = 3;
static const struct ops table = {
	.go = first,
};

static int __init first(int a,
			int b)
{
	if (a)
		return second(b);
	return 0;
}

int second(int a);
struct point {
	int x;
};
void third(void)
{
}
"""


class FunctionsByLine(unittest.TestCase):
    def setUp(self):
        self.owner = hook_budget.functions_by_line(SOURCE)

    def test_body(self):
        self.assertEqual({self.owner[n] for n in range(8, 13)}, {"first"})

    def test_between_functions(self):
        for line in (1, 3, 5, 13, 14, 16):
            self.assertEqual(self.owner[line], hook_budget.OUTSIDE)

    def test_declaration_does_not_name_the_next_body(self):
        self.assertEqual(self.owner[20], "third")


if __name__ == "__main__":
    unittest.main()
