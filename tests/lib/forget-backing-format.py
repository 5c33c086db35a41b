#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Takes the format of its backing file out of a qcow2 file, as older tools
left it out: qemu-img itself no longer creates such images.

forget-backing-format.py FILE.qcow2
"""
import struct
import sys

BACKING_FORMAT = 0xE2792ACA
UNKNOWN = 0x6E6F7468    # a reader skips extensions that it does not know

with open(sys.argv[1], "r+b") as f:
    header = f.read(104)
    version, = struct.unpack(">I", header[4:8])
    at = struct.unpack(">I", header[100:104])[0] if version == 3 else 72
    while True:
        f.seek(at)
        kind, length = struct.unpack(">II", f.read(8))
        if kind == 0:
            sys.exit("no backing format in " + sys.argv[1])
        if kind == BACKING_FORMAT:
            f.seek(at)
            f.write(struct.pack(">I", UNKNOWN))
            break
        at += 8 + (length + 7) // 8 * 8
