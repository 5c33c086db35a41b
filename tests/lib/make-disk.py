#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Makes a raw disk, sparse, the same bytes on every run.

make-disk.py PATH SIZE [SHAPE...]

Every byte of data is a function of its disk offset and the seed, and not zero;
no two units of 4 KiB are the same, so that data at a wrong place shows. What
no shape covers is a hole. Shapes, each laid over the ones before:

    seed:N                  other data, and other places, from here on
    full                    data all over
    data@OFFSET+LENGTH      data there
    zeroes@OFFSET+LENGTH    zeroes there, written: a hole only for who looks
    tail+LENGTH             data in the last LENGTH bytes
    runs:RUN/HOLE           data and holes in turn, all over, of random lengths
                            between 4K and RUN, and between 4K and HOLE, in
                            multiples of 4K
    runs:RUN/HOLE@OFFSET+LENGTH     the same within a range
    pieces:COUNT            COUNT pieces of data of 512 to 64K bytes, at random
                            places, in multiples of 512
    empties:COUNT           COUNT pieces of written zeroes, likewise
    text@OFFSET=WORDS       WORDS there

SIZE, OFFSET and LENGTH take K, M, G, T. The disk is changed, not made, when it
exists already.
"""
import _random
import os
import struct
import sys

BLOCK = 1 << 20
UNIT = 4096
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def number(text):
    shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1], 0)
    return int(text[:-1] if shift else text) << shift


def span(text):
    offset, length = text.split("+")
    return number(offset), number(length)


class Random(_random.Random):
    """What random.Random gives for a number; to import that takes longer than
    most disks."""

    def below(self, end):
        bits = end.bit_length()
        while (n := self.getrandbits(bits)) >= end:
            pass
        return n

    def between(self, first, last):
        return first + self.below(last - first + 1)

    def bytes(self, count):
        return self.getrandbits(8 * count).to_bytes(count, "little")


class Disk:
    def __init__(self, path, size):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.size = size
        os.ftruncate(self.fd, size)
        self.sow(1)

    def sow(self, seed):
        self.seed = seed
        self.random = Random(seed)
        block = Random(~seed).bytes(BLOCK)
        self.block = bytearray(block.replace(b"\0", b"\x55"))

    def data(self, offset, length):
        end = min(offset + length, self.size)
        while offset < end:
            start = offset // BLOCK * BLOCK
            stop = min(end, start + BLOCK)
            unit = offset // UNIT * UNIT
            while unit < stop:
                # A number for each unit, in seven bits a byte: never zero.
                n = unit // UNIT
                struct.pack_into(
                    "5B", self.block, unit - start,
                    128 | n & 127, 128 | n >> 7 & 127, 128 | n >> 14 & 127,
                    128 | n >> 21 & 127, 128 | n >> 28 & 127)
                unit += UNIT
            self.write(offset, memoryview(self.block)[offset - start:
                                                      stop - start])
            offset = stop

    def zeroes(self, offset, length):
        end = min(offset + length, self.size)
        while offset < end:
            n = min(end - offset, BLOCK)
            self.write(offset, bytes(n))
            offset += n

    def write(self, offset, content):
        while content:
            n = os.pwrite(self.fd, content, offset)
            offset += n
            content = content[n:]

    def runs(self, run, hole, offset, length):
        end = offset + length
        while offset < end:
            n = self.random.between(1, run // UNIT) * UNIT
            self.data(offset, min(n, end - offset))
            offset += n + self.random.between(1, hole // UNIT) * UNIT

    def scatter(self, count, put):
        for _ in range(count):
            offset = self.random.below(self.size // 512) * 512
            put(offset, self.random.between(1, 128) * 512)

    def add(self, shape):
        kind = shape[:len(shape) - len(shape.lstrip(LETTERS))]
        rest = shape[len(kind):]
        if rest[:1] in (":", "@", "+"):
            rest = rest[1:]
        if kind == "seed":
            self.sow(int(rest))
        elif kind == "full":
            self.data(0, self.size)
        elif kind == "data":
            self.data(*span(rest))
        elif kind == "zeroes":
            self.zeroes(*span(rest))
        elif kind == "tail":
            self.data(self.size - number(rest), number(rest))
        elif kind == "runs":
            lengths, _, where = rest.partition("@")
            run, hole = map(number, lengths.split("/"))
            self.runs(run, hole, *(span(where) if where else (0, self.size)))
        elif kind == "pieces":
            self.scatter(int(rest), self.data)
        elif kind == "empties":
            self.scatter(int(rest), self.zeroes)
        elif kind == "text":
            offset, _, words = rest.partition("=")
            self.write(number(offset), words.encode())
        else:
            sys.exit("make-disk.py: no such shape: " + shape)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    disk = Disk(sys.argv[1], number(sys.argv[2]))
    for shape in sys.argv[3:]:
        disk.add(shape)


main()
