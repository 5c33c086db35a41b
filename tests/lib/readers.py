#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Reads a qcow2 stream from standard input, forwards only, by the rules of the
programs that read it today.

readers.py xapi|xo [--no-data]

xapi: lib/qcow_stream.ml of ocaml-qcow 0.12.0 to 0.14.0, told in our words:
  - It asks for tables in the order refcount table, L1 cluster by cluster,
    after each of these its L2 tables. What is skipped on the way is kept, and
    can be had later, once.
  - Each cluster number in a table is compared with a bound. It begins as
    clusters of the disk (a last one in part does not count) + clusters of the
    refcount table + clusters from its end to L1 (negative if L1 is first),
    and is raised by one for each cluster of L1 before its L2 tables are read,
    and by one for each L2 table once its own number has been compared.
  - A compressed cluster is refused.
  - The data is read cluster by cluster in the order of the file, and has to
    follow right behind the last table that was read, and itself.

xo: QcowDisk and QcowStream of Xen Orchestra's @xen-orchestra/qcow2, as of
September 2025 to 2026:
  - It reads 1024 bytes, the entries of L1, then the L2 tables as L1 has them,
    of each as much as the disk needs, then the data as L2 has it, each further
    on in the file than the last.
  - An L1 entry behind the disk's end is an error.

Prints "taken", with xapi "taken, slack N": the least that any number was below
the bound. Else exit code 1, and the rule that was broken. With --no-data the
input may end behind the tables: it is of a large disk, say.
"""
import struct
import sys

COMPRESSED = 1 << 62
OFFSET = 0x3ffffffffffffe00


class Refused(Exception):
    pass


class Header:
    def __init__(self, head):
        (magic, version, backing, _, self.bits, self.size, _, self.l1_entries,
         self.l1, self.table, self.table_clusters) = \
            struct.unpack(">4sIQIIQIIQQI", head[:60])
        if magic != b"QFI\xfb":
            raise Refused("not qcow2")
        if backing:
            raise Refused("a backing file")
        if version > 2 and struct.unpack(">Q", head[72:80])[0]:
            raise Refused("incompatible features")
        self.cluster = 1 << self.bits


def words(data, length):
    return struct.unpack(">%dQ" % (length // 8), data.ljust(length, b"\0"))


class Clusters:
    """What comes behind the header, cluster by cluster."""

    def __init__(self, file, cluster):
        self.file, self.cluster = file, cluster
        self.last = 0
        self.kept = {}

    def next(self):
        self.last += 1
        return self.file.read(self.cluster)

    def table(self, number):
        while self.last < number:
            data = self.next()
            self.kept[self.last] = data
        if number not in self.kept:
            raise Refused("cluster %d was passed, at %d" % (number, self.last))
        return words(self.kept.pop(number), self.cluster)


class Xapi:
    def __init__(self, file):
        self.header = h = Header(file.read(512))
        file.read(h.cluster - 512)
        self.clusters = Clusters(file, h.cluster)
        self.bound = h.size // h.cluster \
            + (h.l1 >> h.bits) - (h.table >> h.bits)
        self.slack = None
        self.data = set()

    def number(self, entry, where):
        if entry & COMPRESSED:
            raise Refused("a compressed cluster, in %s" % where)
        number = (entry & OFFSET) >> self.header.bits
        if number == 0:
            return 0
        slack = self.bound - number
        if slack < 0:
            raise Refused("cluster %d, in %s, is above %d"
                          % (number, where, self.bound))
        if self.slack is None or slack < self.slack:
            self.slack = slack
        return number

    def read_l2(self, entry, index):
        number = self.number(entry, "L1")
        if number == 0:
            return
        self.bound += 1
        for entry in self.clusters.table(number):
            if entry:
                self.data.add(self.number(entry, "the L2 table %d" % index))

    def read_tables(self):
        h = self.header
        per_table = h.cluster // 8
        for i in range(h.table_clusters):
            for entry in self.clusters.table((h.table >> h.bits) + i):
                self.number(entry, "the refcount table")
        for i in range(-(-h.l1_entries // per_table)):
            l1 = self.clusters.table((h.l1 >> h.bits) + i)
            self.bound += 1
            for j, entry in enumerate(l1):
                self.read_l2(entry, i * per_table + j)
        self.data.discard(0)

    def read_data(self, has_data):
        for number in sorted(self.data):
            if number != self.clusters.last + 1:
                raise Refused("data in cluster %d, behind cluster %d"
                              % (number, self.clusters.last))
            if not has_data:
                self.clusters.last += 1
            elif len(self.clusters.next()) < self.header.cluster:
                raise Refused("the stream ends in cluster %d" % number)

    def result(self):
        return "taken, slack %s" % self.slack


class XenOrchestra:
    def __init__(self, file):
        self.file = file
        self.at = 0
        self.header = Header(self.read(0, 1024))
        self.data = []

    def go(self, offset, length):
        if offset < self.at:
            raise Refused("from file offset %d back to %d" % (self.at, offset))
        self.at = offset + length

    def read(self, offset, length):
        before = self.at
        self.go(offset, length)
        self.file.read(offset - before)
        data = self.file.read(length)
        if len(data) < length:
            raise Refused("the stream ends in the %d bytes at %d"
                          % (length, offset))
        return data

    def read_tables(self):
        h = self.header
        per_table = h.cluster // 8
        clusters = -(-h.size // h.cluster)
        l1 = words(self.read(h.l1, 8 * h.l1_entries), 8 * h.l1_entries)
        for i, entry in enumerate(l1):
            if entry & OFFSET == 0:
                continue
            length = 8 * min(per_table, clusters - i * per_table)
            if length <= 0:
                raise Refused("L1 entry %d is behind the disk" % i)
            self.data += [at & OFFSET for at
                          in words(self.read(entry & OFFSET, length), length)
                          if at & OFFSET]

    def read_data(self, has_data):
        for at in self.data:
            if has_data:
                self.read(at, self.header.cluster)
            else:
                self.go(at, self.header.cluster)

    def result(self):
        return "taken"


def main():
    readers = {"xapi": Xapi, "xo": XenOrchestra}
    try:
        reader = readers[sys.argv[1]](sys.stdin.buffer)
        reader.read_tables()
        reader.read_data("--no-data" not in sys.argv)
    except Refused as e:
        print("refused:", e)
        sys.exit(1)
    print(reader.result())


main()
