#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The merge of a host's recording with a guest's, beside perf inject and cat. Needs no VM, and does not run in one.
exec /usr/bin/python3 -B lab/bench/merge.py build/perf/perf "${1:-build/bench-merge}"
