#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# Images that are broken at random. What is checked of each is at
# the head of tests/hostile/hostile.c; `make fuzz-images' has more of them.

load ../lib/helpers

@test "1,200 broken images are refused by a rule, or become the disk that QEMU sees" {
    # One of many jobs of `make -j', and it takes longer than any other.
    TMPDIR=$BATS_TEST_TMPDIR "$tests/../hostile/run" -k -n 1200 -j 2
}
