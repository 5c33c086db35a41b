# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Sections of bench about what there is much of: extents, bytes, ranges, links
of a chain, transfers at the same time.
"""
import base64
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from functools import partial

from benching import (
    CLUSTER, GIB, MIB, TIB, command, compare, fill_from, limit,
    make_disk, make_image, measure, nbd_server, noise, phase, renew, show,
    show_run, show_size, size, write_into)

TWICE = 2.2     # times the time, for twice of something


# --------------------------------------------------------------- planning

def allocate(step, extents, length):
    """The image `map', of nothing but tables, and a disk as large."""
    commands = []
    # QEMU takes clusters without touching them as a disk grows over them.
    for i in range(extents):
        end = (i + 1) * step
        commands += [f"truncate {end - length}",
                     f"truncate -m metadata {end}"]
    make_image("map", "create", "-q", "-f", "qcow2", "-o", "size=0")
    write_into("map", commands)
    renew("disk")
    with open("disk", "wb") as disk:
        disk.truncate(extents * step)


def plan(name="", **how):
    return measure(command(
        "qcow-tool", "measure", "--source-format", "hybrid", "--source",
        f"disk{name}:map{name}", "--spool-dir", ".", "--report", "report"),
        **how)


def show_its_map(what):
    """How much of the time is that QEMU says where all of it is, once more."""
    log = measure(command(
        "qcow-tool", "measure", "--debug", "--spool-dir", ".",
        "--source-format", "hybrid", "--source", "disk:map")).log
    took = re.search(r"plan: its map took ([\d.]+) s", log).group(1)
    show(f"  {what}its map, with --debug", f"{float(took):.2f} s")


def preallocate(data):
    renew("tables")
    return measure(command(
        "qemu-img", "create", "-q", "-f", "qcow2", "-o",
        f"preallocation=metadata,size={data}", "tables"))


def section_planning(scale):
    show("\nmeasure: planned, without data; beside qemu-img create with "
         "metadata\nfor as much data in one extent")
    for extents, length, seconds in ((64, 2 * GIB, 2), (300, GIB, 4),
                                     (20000, CLUSTER, None),
                                     (100000, CLUSTER, 5)):
        count = max(extents // scale, 8)
        data = count * length
        allocate(max(2 * length, 5 * CLUSTER), count, length)
        what = f"{size(data)} in {count}: "
        took = compare(plan, partial(preallocate, data), data,
                       name=what).seconds
        show(f"  {what}the last", f"{took:.2f} s",
             goal=limit(took, seconds, f"{seconds} s") if seconds else "")
        show_its_map(what)


def section_linear(scale):
    show("\nmeasure: planned, without data; beside half as much")
    shapes = [(count // scale, CLUSTER) for count in (25000, 50000, 100000)]
    shapes += [(64, length // scale) for length in (2 * GIB, 4 * GIB, 8 * GIB)]
    for i, (count, length) in enumerate(shapes):
        for name in "map", "disk":
            if os.path.exists(name):
                os.replace(name, f"{name}.half")
        allocate(max(2 * length, 5 * CLUSTER), count, length)
        if i % 3 > 0:
            data = count * length
            half = data // 2
            compare(plan, partial(plan, ".half"), (data, half), TWICE,
                    f"{size(data)} in {count}: ")


def section_large(scale):
    extents = 1000 // scale
    allocate(16 * TIB // 1000 // CLUSTER * CLUSTER, extents, 4 * GIB)
    show(f"\nmeasure: planned, without data: {size(extents * 4 * GIB)} in "
         f"{extents} extents")
    # To sample costs time: not in the run whose time is shown.
    memory = plan(sampled="Pss").memory
    show_run(plan(), goal=40)
    with open("report", encoding="utf-8") as f:
        report = json.load(f)
    for name, seconds in report["phases"].items():
        show(f"  of it {name}", f"{seconds:.2f} s")
    show_its_map("")
    show_size("  spool", report["spool-peak"], 1.3 * GIB)
    show_size("  memory, all processes", memory, 256 * MIB)


# ----------------------------------------------------------------- chains

def make_chain(links, disk_size):
    """N.qcow2 over N-1.qcow2: some hold something, the others nothing."""
    names = [f"{i:04}.qcow2".encode() for i in range(links)]
    make_disk("disk", disk_size, disk_size // 2, 64, noise())
    make_image("0000.qcow2", "convert", "-f", "raw", "-O", "qcow2", "disk")
    make_image("0001.qcow2", "create", "-q", "-u", "-f", "qcow2", "-b",
               "0000.qcow2", "-F", "qcow2", "-o", f"size={disk_size}")
    with open("0001.qcow2", "rb") as f:
        template = f.read()
    # A header is all that tells one empty image from the next.
    for below, name in zip(names, names[1:]):
        with open(name, "wb") as f:
            f.write(template.replace(names[0], below))
    for i in range(10, links, 10):
        # Nothing is read from those below it.
        file = {"driver": "file", "filename": names[i].decode()}
        write_into("json:" + json.dumps({"driver": "qcow2", "file": file,
                                         "backing": None}),
                   [f"write -q -P {i % 255 + 1} "
                    f"{i % 64 * (disk_size // 64)} 64K"], ())
    return names[-1].decode()


def section_chain(scale):
    disk_size = 64 * MIB
    for links in 300 // scale, 1000 // scale:
        top = make_chain(links, disk_size)
        ours = partial(measure, command(
            "qcow-tool", "measure", "--source-format", "qcow2", "--source",
            top, "--report", "report"))
        if links >= 1000:
            show(f"\nmeasure: a chain of {links} links; there is no reference")
            show_run(ours())
            continue
        show(f"\nmeasure: a chain of {links} links, its map beside qemu-img's")
        compare(lambda: phase("mapping", ours()), lambda: measure(command(
            "qemu-img", "map", "--output=json", "-f", "qcow2", top)), None, 2)


# ----------------------------------------------------- many at the same time

def export_and_import(count):
    """So many of both, in pairs; one that fails is a failure of all."""
    # What many hosts have.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    children = []
    for i in range(count):
        source, sink = socket.socketpair()
        with source, sink:
            children += [
                subprocess.Popen(["qcow-tool", "stream", "--spool-dir", ".",
                                  "disk"], stdout=sink),
                subprocess.Popen(["qcow-tool", "serve", "--spool-dir", ".",
                                  f"copy{i}"], stdin=source)]
    failed = sum([child.wait() != 0 for child in children])
    if failed:
        sys.exit(f"bench: {failed} of {len(children)} failed")


def all_together(count, **how):
    for i in range(count):
        renew(f"copy{i}")
    return measure(partial(export_and_import, count), **how)


def section_many(scale):
    count = 32 // min(scale, 4)
    data = make_disk("disk", 512 * MIB, 80 * MIB, 20, noise())
    show(f"\n{count} times stream into serve, at the same time: "
         f"{size(data)} of data each")
    # To sample costs time: not in the run whose time is shown.
    memory = all_together(count, sampled="Pss_Anon").memory
    show_run(min(all_together(count) for _ in range(3)), count * data)
    show_size("  anonymous memory, all processes", memory,
              252 * MIB * count // 32)


def section_hundreds(scale):
    count = 200 // scale
    data = make_disk("disk", 64 * MIB, 4 * MIB, 8, noise())
    show(f"\n{count} times stream into serve, at the same time: "
         f"{size(data)} of data each; 1024 fds each")
    show_run(all_together(count), count * data)


# ----------------------------------------------------------------- ranges

def list_blocks(count, disk_size):
    """So many blocks all over the disk, as xapi tells which have changed."""
    bitmap = bytearray(disk_size // CLUSTER // 8)
    for i in range(0, disk_size // CLUSTER, disk_size // CLUSTER // count):
        bitmap[i // 8] |= 0x80 >> i % 8
    with open("changed", "wb") as f:
        f.write(base64.b64encode(bitmap))
    renew("disk")
    with open("disk", "wb") as f:
        f.truncate(disk_size)


def section_ranges(scale):
    disk_size = TIB
    show(f"\nserve: {size(disk_size)} of disk, ranges of a cluster, onto "
         "nbdkit's null plugin;\nbeside half as many")
    if shutil.which("nbdkit") is None:
        show("  skipped, needs nbdkit")
        return
    half = None
    for count in (1 << 18) // scale, (1 << 19) // scale, (1 << 20) // scale:
        list_blocks(count, disk_size)
        with nbd_server("null", str(disk_size)) as uri:
            last = phase("receiving", fill_from(
                ["qcow-tool", "stream", "--changed-blocks", "changed",
                 "--spool-dir", ".", "disk"],
                command("qcow-tool", "serve", "--spool-dir", ".", "--report",
                        "report", uri), sampled="Pss"))
        name = f"{count}: "
        show_run(last, count * CLUSTER, name=name)
        show(f"  {name}memory, all processes", size(last.memory),
             size(half.memory) if half else "",
             f"{last.memory / half.memory:.2f}" if half else "",
             limit(last.memory / half.memory, TWICE, TWICE) if half else "")
        if half:
            ratio = last.seconds / half.seconds
            show(f"  {name}time, beside half as many", f"{last.seconds:.2f} s",
                 f"{half.seconds:.2f} s", f"{ratio:.2f}",
                 limit(ratio, TWICE, TWICE))
        half = last
