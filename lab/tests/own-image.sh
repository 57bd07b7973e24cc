#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest with a root of its own starts, and its perf runs.
. lab/tests/lib.sh

guest-start image vcpus=1 root=image mem=300
assert_eq "$(guest -g image 'perf version | cut -d" " -f1')" perf "perf in the guest's own image"
guest-stop image
