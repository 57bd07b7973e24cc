# SPDX-License-Identifier: GPL-2.0
"""How a test that fails now and then is judged: by how often it fails with either side, in turns by itself."""

import math

ROUNDS = 20
SIGMAS = 3          # how far two counts of the same test may be apart


def is_worse(of_base, of_ours):
    """Whether a steady test fails, or one that is not fails more often than chance explains.

    Where the unpatched never fails, ours may fail once.
    """
    if not of_base:
        return of_ours > 1
    share = (of_base + of_ours) / (2 * ROUNDS)
    return of_ours - of_base > SIGMAS * math.sqrt(2 * ROUNDS * share * (1 - share))
