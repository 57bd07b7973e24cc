# SPDX-License-Identifier: GPL-2.0
"""perf's own tests: runs them and reads how each went."""

import os
import re
import subprocess

DEADLINE = 2400     # seconds, beside the tests in VMs
FAILED = "FAILED!"
RESULT = re.compile(r"^\s*\d+(?:\.\d+)?: (.*?)\s*: (Ok|FAILED!|Skip.*)$")


def results_in(text):
    """{test: result} of what perf test printed."""
    rows = (RESULT.match(line) for line in text.splitlines())
    return {row[1]: row[2] for row in rows if row}


def run(perf, source, *tests):
    """{test: result} of all tests, or of those whose name contains one of the given.

    perf finds its shell tests from the directory of its source.
    """
    # Debian's python3, for which perf is built, comes first.
    env = {**os.environ, "PATH": f"{perf.parent}:/usr/bin:{os.environ['PATH']}", "LC_ALL": "C"}
    # -v shows what a test that failed had to say.
    done = subprocess.run([perf, "test", "-v", *tests], cwd=source, env=env, text=True, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(done.stdout, flush=True)
    return results_in(done.stdout)
