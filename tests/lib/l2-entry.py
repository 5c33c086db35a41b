#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Where the tables of a qcow2 image speak of a disk offset.

l2-entry.py IMAGE DISK_OFFSET

Prints the file offset of the L1 entry, of the table it points to, of the L2
entry, and of the cluster that points to. For the tests to break them.
"""
import struct
import sys

POINTER = 0x00fffffffffffe00
EXTENDED_L2 = 16


def main():
    disk_offset = int(sys.argv[2])
    with open(sys.argv[1], "rb") as f:
        def integer(at, form):
            f.seek(at)
            return struct.unpack(form, f.read(struct.calcsize(form)))[0]

        bits = integer(20, ">I")
        is_v3 = integer(4, ">I") >= 3
        is_extended = is_v3 and integer(72, ">Q") & EXTENDED_L2
        width = 16 if is_extended else 8
        entries = (1 << bits) // width
        number = disk_offset >> bits
        l1_entry = integer(40, ">Q") + number // entries * 8
        table = integer(l1_entry, ">Q") & POINTER
        if table == 0:
            sys.exit("l2-entry.py: there is no table")
        entry = table + number % entries * width
        print(l1_entry, table, entry, integer(entry, ">Q") & POINTER)


main()
