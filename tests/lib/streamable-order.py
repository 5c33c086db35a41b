#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Checks that a qcow2 file can be read forward only, and says what it found.

streamable-order.py FILE.qcow2 <MAP

The tables are found from the header, the data by MAP, which is what `qemu-img
map --output=json` says, an entry a line:
  - all tables lie before all data,
  - data ascends in disk offset, and follows on without a gap in file offset,
  - the file ends with its last data cluster; without data, with its tables.
Exit code 1 and a line for each rule that does not hold. Prints, as words for
a test to match: cluster size, refcount blocks, L2 tables, data clusters.
"""
import os
import struct
import sys

OFFSET = 0x00fffffffffffe00


def up(n, unit):
    return -(-n // unit) * unit


class Image:
    def __init__(self, path):
        self.path = path
        self.file = open(path, "rb")
        h = self.file.read(112).ljust(112, b"\0")
        (magic, self.version, _, _, bits, self.size, _, self.l1_entries,
         self.l1, self.table, self.table_clusters) = struct.unpack(
             ">4sIQIIQIIQQI", h[:60])
        assert magic == b"QFI\xfb", "not qcow2"
        self.cluster = 1 << bits
        features, = struct.unpack(">Q", h[72:80])
        self.extended = self.version == 3 and features & 16

    def entries(self, offset, count, mask):
        self.file.seek(offset)
        table = self.file.read(8 * count).ljust(8 * count, b"\0")
        words = struct.unpack(">%dQ" % count, table)
        return [word & mask for word in words if word & mask]

    def refcount_blocks(self):
        return self.entries(self.table,
                            self.table_clusters * self.cluster // 8, ~511)

    def l2_tables(self):
        return self.entries(self.l1, self.l1_entries, OFFSET)

    def tables_end(self):
        ends = [self.cluster,
                self.table + self.table_clusters * self.cluster,
                self.l1 + up(8 * self.l1_entries, self.cluster)]
        ends += [at + self.cluster for at in self.refcount_blocks()]
        ends += [at + self.cluster for at in self.l2_tables()]
        return max(ends)

    def data(self, map_lines):
        """Runs of data clusters in disk order: [file, disk, length].

        With extended L2 the map speaks of subclusters: a cluster counts when
        one of its subclusters holds data.
        """
        runs = []
        for line in map_lines:
            members = line.strip("[]{}, \n").replace('"', "").split(", ")
            entry = dict(member.split(": ") for member in members)
            if entry["data"] != "true":
                continue
            if "offset" not in entry:
                raise SystemExit("data without a file offset: %s" % entry)
            start = int(entry["start"])
            inside = start % self.cluster
            disk = start - inside
            file = int(entry["offset"]) - inside
            end = up(start + int(entry["length"]), self.cluster)
            if runs:
                last = runs[-1]
                skew = disk - last[1]
                if 0 <= skew <= last[2] and file - last[0] == skew:
                    last[2] = end - last[1]
                    continue
            runs.append([file, disk, end - disk])
        return runs


def main():
    image = Image(sys.argv[1])
    runs = image.data(sys.stdin)
    tables_end = image.tables_end()
    wrong = []
    if runs and runs[0][0] < tables_end:
        wrong.append("first data at file offset %d, tables up to %d"
                     % (runs[0][0], tables_end))
    for (file, disk, length), after in zip(runs, runs[1:]):
        if after[0] != file + length:
            wrong.append("data at file offset %d (disk offset %d) ends at %d, "
                         "the next begins at %d (disk offset %d)"
                         % (file, disk, file + length, after[0], after[1]))
    end = runs[-1][0] + runs[-1][2] if runs else tables_end
    length = os.path.getsize(sys.argv[1])
    if length != end:
        wrong.append("the file is %d long, its content ends at %d"
                     % (length, end))
    for line in wrong[:5]:
        print("wrong order:", line)
    print("cluster size %d, %d refcount blocks, %d L2 tables, "
          "%d data clusters in %d runs"
          % (image.cluster, len(image.refcount_blocks()),
             len(image.l2_tables()),
             sum(run[2] for run in runs) // image.cluster, len(runs)))
    sys.exit(1 if wrong else 0)


main()
