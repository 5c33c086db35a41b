#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Makes a VHD look as if another program had written it.

vhd-creator.py IMAGE CREATOR SIZE

CREATOR is up to four characters.  The disk becomes SIZE bytes: less than it
was, but not by the geometry, which stays.  A dynamic disk gets just the blocks
(of 2 MiB) that it needs then.
"""
import struct
import sys


def sealed(header, at):
    """With the checksum, which is at this place."""
    header[at:at + 4] = bytes(4)
    header[at:at + 4] = struct.pack(">I", ~sum(header) & 0xffffffff)
    return header


def main():
    creator = sys.argv[2].encode("latin-1")
    creator = creator.ljust(4, b" " if creator == b"xo" else b"\0")
    size = int(sys.argv[3])
    with open(sys.argv[1], "r+b") as f:
        end = f.seek(0, 2)
        for at in 0, end - 512:
            f.seek(at)
            footer = bytearray(f.read(512))
            if footer[:8] != b"conectix":
                continue
            footer[28:32] = creator
            footer[48:56] = struct.pack(">Q", size)
            f.seek(at)
            f.write(sealed(footer, 64))
        f.seek(512)
        header = bytearray(f.read(1024))
        if header[:8] == b"cxsparse":
            header[28:32] = struct.pack(">I", (size + 0x1fffff) >> 21)
            f.seek(512)
            f.write(sealed(header, 36))


main()
