#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Runs a command, and tells what it took.

peak.py MIB SECONDS COMMAND...

Exits as the command does (128 + N if it died of signal N), or with 99 if all
of its processes took more than MIB of memory at a time, or more than SECONDS
of processor time. The last line on standard error says how much it was.

Memory is looked at every few milliseconds. What counts for a process is the
most that it has had so far, so no peak is missed, but that of one that lived
for less.
"""
import glob
import resource
import subprocess
import sys


def family(pid):
    """It and its descendants."""
    yield pid
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path) as f:
                children = f.read().split()
        except OSError:
            continue
        for child in children:
            yield from family(int(child))


def most_kib(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0                            # it has ended


def main():
    most_mib, most_seconds = float(sys.argv[1]), float(sys.argv[2])
    child = subprocess.Popen(sys.argv[3:], close_fds=False)
    peak = 0
    while True:
        peak = max(peak, sum(map(most_kib, family(child.pid))))
        try:
            code = child.wait(timeout=0.005)
            break
        except subprocess.TimeoutExpired:
            pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    if code < 0:
        code = 128 - code
    print("peak.py: exit code %d, %d MiB, %.3f s" % (code, peak >> 10,
                                                     seconds),
          file=sys.stderr)
    if peak >> 10 > most_mib or seconds > most_seconds:
        sys.exit(99)
    sys.exit(code)


main()
