# SPDX-License-Identifier: GPL-2.0
"""The tests of lab/tests.toml, checked as they are read."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

LAB = Path(__file__).resolve().parent


@dataclass
class Test:
    name: str
    group: str
    timeout: int
    run: str = ""
    guests: list = field(default_factory=list)
    fresh: bool = False
    append: str = ""
    cpus: int = 1
    spoils: bool = False
    named: bool = False

    def __post_init__(self):
        self.fresh = self.fresh or bool(self.append) or self.cpus != 1 or self.spoils
        self.run = self.run or f"lab/tests/{self.name}.sh"


def read_tests(path=LAB / "tests.toml"):
    """Raises ValueError with a sentence for what is wrong in the file."""
    tests = []
    for entry in tomllib.loads(Path(path).read_text())["test"]:
        try:
            test = Test(**entry)
        except TypeError as error:
            raise ValueError(f"{path}: test {entry.get('name', '?')}: {error}") from None
        if test.name in (t.name for t in tests):
            raise ValueError(f"{path}: two tests are named {test.name}")
        tests.append(test)
    return tests


def select(tests, wanted):
    """The tests of those names or groups; when none is named, all that need not be."""
    if not wanted:
        return [t for t in tests if not t.named]
    chosen = [t for t in tests if t.name in wanted or t.group in wanted]
    unknown = set(wanted) - {t.name for t in chosen} - {t.group for t in chosen}
    if unknown:
        raise ValueError(f"no test and no group is named {', '.join(sorted(unknown))}")
    return chosen


def batches(tests):
    """Tests that share a boot of the host VM, in one list each."""
    shared = [t for t in tests if not t.fresh]
    return ([shared] if shared else []) + [[t] for t in tests if t.fresh]
