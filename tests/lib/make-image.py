#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Makes a qcow2 image as QEMU may have left it.

make-image.py IMAGE LAYOUT [--size SIZE] [--data SIZE] [--seed N]
make-image.py --list

All is written by qemu-img and qemu-io. The disk has data all over its SIZE
(280M), about DATA (16M) of it: runs of text that compresses, of noise that
does not, of zeroes that were written, and holes. No two sectors of text or
noise are the same. What a layout is for is checked in QEMU's map of the
result: an image that has lost its point is an error.

Where QEMU works on several requests at once, what lies where in the file is
not the same on every run.
"""
import argparse
import json
import os
import random
import subprocess
import sys

MIB = 1 << 20
WORDS = b"the quick brown fox jumps over the lazy dog and the dog sleeps "


class Layout:
    """What to tell qemu-img convert, what a guest does then, and what must
    be seen in the map."""

    def __init__(self, options="", flags=(), after=(), expect=(), data=None,
                 size=None, create=False):
        self.options, self.flags, self.after = options, flags, after
        self.expect, self.create = expect, create
        self.data, self.size = data, size       # no more than that


WRITES = ("guest", "write", 60)
CHANGES = ("guest", "write,zero,unmap,discard", 150)
OUT_OF_ORDER = ("-W", "-m", "16")

LAYOUTS = {
    "plain": Layout(),
    "clusters-512": Layout("cluster_size=512", data=2 * MIB),
    "clusters-4k": Layout("cluster_size=4k"),
    "clusters-2m": Layout("cluster_size=2M", data=2 * MIB),
    "compat-0.10": Layout("compat=0.10", after=[CHANGES]),
    "extended-l2": Layout("extended_l2=on", after=[CHANGES]),
    "extended-l2-16k": Layout("extended_l2=on,cluster_size=16k",
                              after=[CHANGES]),
    "refcount-1": Layout("refcount_bits=1", after=[CHANGES]),
    "refcount-64": Layout("refcount_bits=64", after=[CHANGES]),
    "lazy-refcounts": Layout("lazy_refcounts=on", after=[CHANGES]),
    "dirty": Layout("lazy_refcounts=on", after=[CHANGES, ("crash",)],
                    expect=["dirty"]),
    "prealloc-metadata": Layout("preallocation=metadata", create=True,
                                size=100 * MIB, after=[WRITES]),
    "prealloc-full": Layout("preallocation=full", create=True,
                            size=50 * MIB, after=[WRITES]),
    "out-of-order": Layout("cluster_size=4k", OUT_OF_ORDER,
                           expect=["disorder"]),
    "zlib": Layout(flags=["-c"], expect=["coded", "small"]),
    "zlib-4k": Layout("cluster_size=4k", ["-c"], expect=["coded", "small"],
                      data=4 * MIB),
    "zlib-2m": Layout("cluster_size=2M", ["-c"], data=2 * MIB,
                      expect=["coded", "small"]),
    "zlib-out-of-order": Layout("", ["-c", *OUT_OF_ORDER],
                                expect=["coded", "small"]),
    "zstd": Layout("compression_type=zstd", ["-c"],
                   expect=["coded", "small"]),
    "zstd-2m": Layout("compression_type=zstd,cluster_size=2M", ["-c"],
                      expect=["coded", "small"]),
    "zstd-extended-l2": Layout("compression_type=zstd,extended_l2=on",
                               ["-c"], expect=["coded"]),
    "mixed": Layout(flags=["-c"], after=[WRITES],
                    expect=["coded", "mapped"]),
    "mixed-snapshots": Layout(
        flags=["-c"], expect=["coded", "mapped", "disorder", "zero"],
        after=[CHANGES, ("snapshot",), ("guest", "coded,write,zero", 80),
               ("snapshot",), CHANGES]),
    "snapshots": Layout(expect=["disorder"], after=[
        ("snapshot",), CHANGES, ("snapshot",), CHANGES]),
    "snapshots-4k": Layout("cluster_size=4k", expect=["disorder"], after=[
        ("snapshot",), CHANGES, ("snapshot",), CHANGES]),
    "snapshot-removed": Layout(expect=["disorder"], after=[
        ("snapshot",), CHANGES, ("forget",), CHANGES]),
    "bitmap": Layout(after=[("bitmap",), CHANGES]),
    "grown": Layout(after=[("resize", 3), CHANGES]),
    "shrunk": Layout(after=[CHANGES, ("resize", 0.6), WRITES]),
    "zero-over-data": Layout(expect=["zero-kept"], after=[("zero-all",)]),
    "guest": Layout(create=True, expect=["disorder"], after=[
        ("guest", "write,zero,unmap,discard", 600)]),
    "guest-4k": Layout("cluster_size=4k", create=True, expect=["disorder"],
                       after=[("guest", "write,zero,unmap,discard", 600)]),
    "guest-coded": Layout(create=True, expect=["coded", "mapped"], after=[
        ("guest", "coded", 100),
        ("guest", "coded,write,zero,unmap,discard", 500)]),
    "empty": Layout(create=True),
}


def number(text):
    shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1], 0)
    return int(text[:-1] if shift else text) << shift


def run(*command, stdin=None, check=True):
    r = subprocess.run(command, input=stdin, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and r.returncode != 0:
        sys.exit("make-image.py: %s: %s" % (" ".join(command), r.stderr))
    return r.stdout


def text(rng, offset, length):
    tag = b"%d " % rng.randrange(1 << 40)
    out = bytearray()
    for at in range(offset, offset + length, 512):
        out += (b"%d: %s" % (at, tag) + WORDS * 9)[:512]
    return bytes(out)


def make_disk(path, size, data, rng):
    """Runs of 64K on the average, spread over the whole size."""
    with open(path, "wb") as f:
        f.truncate(size)
        count = max(1, data // 65536)
        for i in range(count):
            at = (size * i // count + rng.randrange(
                max(1, size // count))) // 512 * 512
            n = min(rng.randint(1, 256) * 512, size - at)
            kind = rng.random()
            f.seek(at)
            f.write(text(rng, at, n) if kind < 0.6 else
                    rng.randbytes(n) if kind < 0.85 else bytes(n))


def guest(rng, size, kinds, count, cluster):
    """qemu-io commands, most of them in flight together, but none on the
    clusters of another: QEMU 7.2 itself breaks the image when a discard
    meets a write. Half of the places are near one of few."""
    spots = [rng.randrange(size) for _ in range(12)]
    out, busy = [], set()
    for _ in range(count):
        kind = rng.choice(kinds.split(","))
        spot = rng.choice(spots) + rng.randrange(MIB)
        at = (spot if rng.random() < 0.5 else rng.randrange(size))
        at = at // 512 * 512
        n = rng.choice((512, 4096, 20480, 65536, 131072, 300032))
        if kind == "coded":
            at = at // cluster * cluster
            n = min(n // cluster + 1, 4) * cluster
        at = at % size
        n = min(n, size - at)
        if kind == "coded" and n % cluster:
            continue
        what = {"write": "aio_write -q -P %d" % rng.randint(1, 255),
                "coded": "write -q -c -P %d" % rng.randint(1, 255),
                "zero": "aio_write -q -z", "unmap": "aio_write -q -z -u",
                "discard": "discard -q"}[kind]
        clusters = set(range(at // cluster, (at + n - 1) // cluster + 1))
        if busy & clusters:
            out.append("aio_flush")
            busy.clear()
        busy |= clusters
        out.append("%s %d %d" % (what, at, n))
    return "\n".join(out + ["aio_flush", ""])


class Image:
    def __init__(self, path, layout, size, seed):
        self.path, self.layout, self.size = path, layout, size
        self.rng = random.Random(seed)
        self.cluster = 65536
        for option in layout.options.split(","):
            if option.startswith("cluster_size="):
                self.cluster = number(option[13:].upper())

    def make(self, data):
        options = ["-o", self.layout.options] if self.layout.options else []
        if self.layout.create:
            run("qemu-img", "create", "-q", "-f", "qcow2", *options,
                self.path, str(self.size))
        else:
            disk = self.path + ".disk"
            make_disk(disk, self.size, min(data, self.layout.data or data),
                      self.rng)
            run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options,
                *self.layout.flags, disk, self.path)
            os.unlink(disk)
        for action, *args in self.layout.after:
            getattr(self, action.replace("-", "_"))(*args)

    def io(self, commands, check=True):
        run("qemu-io", "-t", "unsafe", "-f", "qcow2", self.path,
            stdin=commands, check=check)

    def guest(self, kinds, count):
        # A compressed write fails where there is data; that is no matter.
        self.io(guest(self.rng, self.size, kinds, count, self.cluster),
                check="coded" not in kinds)

    def crash(self):
        self.io("write -q -P 7 1M 300K\nflush\nsigraise 9\n", check=False)

    def snapshot(self):
        run("qemu-img", "snapshot", "-c", "s%d" % self.rng.randrange(1 << 30),
            self.path)

    def forget(self):
        name = json.loads(run("qemu-img", "info", "--output=json",
                              self.path))["snapshots"][0]["name"]
        run("qemu-img", "snapshot", "-d", name, self.path)

    def bitmap(self):
        run("qemu-img", "bitmap", "--add", self.path, "changes")

    def resize(self, factor):
        self.size = int(self.size * factor) // 512 * 512
        run("qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", self.path,
            str(self.size))

    def zero_all(self):
        """Some of what is data becomes zeroes, and keeps its clusters."""
        spans = [e for e in self.map() if e["data"]][::2]
        self.io("".join("write -q -z %d %d\n" % (e["start"], e["length"])
                        for e in spans))

    def map(self):
        # What is present not each QEMU says: what is not left to zeroes below.
        node = {"driver": "qcow2",
                "file": {"driver": "file", "filename": self.path},
                "backing": {"driver": "null-co", "size": 1 << 62,
                            "read-zeroes": True}}
        entries = json.loads(run("qemu-img", "map", "--output=json",
                                 "json:" + json.dumps(node)))
        for e in entries:
            e["present"] = e["depth"] == 0
        return entries

    def check(self):
        if "dirty" not in self.layout.expect:
            run("qemu-img", "check", "-q", "-f", "qcow2", self.path)
        entries = self.map()
        data = [e for e in entries if e["data"] and not e["zero"]]
        offsets = [e["offset"] for e in data if "offset" in e]
        total = sum(e["length"] for e in data)
        with open(self.path, "rb") as f:
            header = f.read(80)
        seen = {
            "coded": len(offsets) < len(data),
            "mapped": bool(offsets),
            "disorder": offsets != sorted(offsets),
            "zero": any(e["zero"] and e["present"] for e in entries),
            "zero-kept": any(e["zero"] and e["present"] and "offset" in e
                             for e in entries),
            "small": os.stat(self.path).st_size < total * 7 // 10,
            "dirty": bool(header[79] & 1),
        }
        for what in self.layout.expect:
            if not seen[what]:
                sys.exit("make-image.py: %s is not %s" % (self.path, what))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("image", nargs="?")
    p.add_argument("layout", nargs="?", choices=sorted(LAYOUTS))
    p.add_argument("--size", type=number, default=280 * MIB)
    p.add_argument("--data", type=number, default=16 * MIB)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--list", action="store_true")
    opts = p.parse_args()
    if opts.list:
        print("\n".join(LAYOUTS))
        return
    layout = LAYOUTS[opts.layout]
    image = Image(opts.image, layout,
                  min(opts.size, layout.size or opts.size), opts.seed)
    image.make(opts.data)
    image.check()


main()
