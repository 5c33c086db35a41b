#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Makes an image that has as many ranges as its tables can describe.

make-fragmented.py IMAGE DISK_SIZE zeroes|data

With extended L2 entries, in clusters of 16 KiB: every other subcluster, a
sector, is marked zero, or holds data (zeroes, too: the file is sparse). The
tables come first, in order, and the data behind them.
"""
import struct
import sys

CLUSTER = 16384
ENTRIES = CLUSTER // 16
EVERY_OTHER = 0x55555555


def main():
    size = int(sys.argv[2])
    clusters = -(-size // CLUSTER)
    tables = -(-clusters // ENTRIES)
    l1 = 3                              # header, refcount table, and a block
    l2 = l1 + -(-tables * 8 // CLUSTER)
    data = l2 + tables
    is_data = sys.argv[3] == "data"
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 14, size, 0,
                         tables, l1 * CLUSTER, CLUSTER, 1, 0, 0)
    header += struct.pack(">QQQIIQ", 16, 0, 0, 4, 112, 0)
    with open(sys.argv[1], "wb") as f:
        def put(cluster, *values, form=">Q"):
            f.seek(cluster * CLUSTER)
            f.write(b"".join(struct.pack(form, v) for v in values))

        f.write(header)
        put(1, 2 * CLUSTER)
        put(2, *[1] * min(data, CLUSTER // 2), form=">H")
        put(l1, *(1 << 63 | (l2 + i) * CLUSTER for i in range(tables)))
        f.seek(l2 * CLUSTER)
        for i in range(clusters):
            if is_data:
                f.write(struct.pack(">QII", 1 << 63 | (data + i) * CLUSTER,
                                    0, EVERY_OTHER))
            else:
                f.write(struct.pack(">QII", 0, EVERY_OTHER, 0))
        f.truncate((data + (clusters if is_data else 0)) * CLUSTER)


main()
