# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""changed-blocks.py OLD NEW [BLOCK...]

What xapi's VDI.list_changed_blocks says of two raw disks of one size; besides,
that the blocks of these numbers were written, too.

As the storage manager makes it (libs/sm/VDI.py in xapi-project/sm, 471cf7e of
April 2026): tapdisk keeps the bits of a byte with the least significant one
first (drivers/block-log.c in xapi-project/blktap v4.0.8), bytereverse() puts
the most significant one first, and there are whole bytes (bitmap_size in
include/cbt-util.h there).
"""
import base64
import sys

BLOCK = 64 << 10

bits = []
with open(sys.argv[1], "rb") as old, open(sys.argv[2], "rb") as new:
    while block := new.read(BLOCK):
        bits.append(old.read(BLOCK) != block)
for number in sys.argv[3:]:
    bits[int(number)] = True
bits += [False] * (-len(bits) % 8)
print(base64.b64encode(bytes(
    sum(bit << 7 - i for i, bit in enumerate(bits[at:at + 8]))
    for at in range(0, len(bits), 8))).decode())
