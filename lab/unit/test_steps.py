# SPDX-License-Identifier: GPL-2.0
"""The order in which lab/steps runs the steps of a goal, and what it makes of those that fail."""

import contextlib
import importlib.machinery
import importlib.util
import io
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "steps"
LOADER = importlib.machinery.SourceFileLoader("steps", str(SCRIPT))
steps = importlib.util.module_from_spec(importlib.util.spec_from_loader("steps", LOADER))
LOADER.exec_module(steps)

DEADLINE = 20


def step(name, command="true", **kwargs):
    return steps.Step(name, kwargs.pop("deadline", DEADLINE), ["sh", "-c", command], **kwargs)


class Steps(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(dir=steps.REPO / "build")
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)
        logs = steps.LOGS
        self.addCleanup(setattr, steps, "LOGS", logs)
        steps.LOGS = self.dir

    def run_lanes(self, todo, go_on=True):
        """(Result, what was printed)"""
        result = steps.Result()
        with contextlib.redirect_stdout(io.StringIO()) as out:
            steps.run_lanes(todo, result, go_on)
        return result, out.getvalue()

    def test_failed_step_is_named_and_the_next_one_runs(self):
        result, out = self.run_lanes([step("one", "echo why; exit 3"), step("two")])
        self.assertEqual(result.counts, {"passed": 1, "failed": 1})
        self.assertEqual(result.failed, ["one"])
        self.assertIn("[ 1/2] one ... FAILED, exit code 3, after", out)
        self.assertIn("    why\n", out)

    def test_names_after_options(self):
        """As the Makefile gives them."""
        args = steps.parse_arguments(["check", "--accel", "tcg", "one", "two"])
        self.assertEqual((args.goal, args.accel, args.tests), ("check", "tcg", ["one", "two"]))

    def test_demo_stops_at_the_first_failure(self):
        result, _ = self.run_lanes([step("one", "false"), step("two")], go_on=False)
        self.assertEqual(result.counts, {"failed": 1})

    def test_lanes_run_at_one_time(self):
        """Each waits for the other."""
        meet = "touch {0}/{1}; until [ -e {0}/{2} ]; do sleep 0.05; done"
        result, out = self.run_lanes([
            step("first"),
            step("side", meet.format(self.dir, "a", "b"), beside=True),
            step("main", "echo shown; " + meet.format(self.dir, "b", "a"), shown=True)])
        self.assertEqual(result.counts, {"passed": 3})
        self.assertIn("\nshown\n", out)

    def test_failure_in_the_side_lane_counts(self):
        result, out = self.run_lanes([step("side", "exit 1", beside=True), step("main")])
        self.assertEqual(result.failed, ["side"])
        self.assertIn("[ 1/2] side ... FAILED, exit code 1", out)

    def test_deadline(self):
        result, out = self.run_lanes([step("slow", "sleep 60", deadline=0.2)])
        self.assertEqual(result.failed, ["slow"])
        self.assertIn("it was waiting for: sh -c sleep 60", out)


if __name__ == "__main__":
    unittest.main()
