#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Writes a file into an fd, the way a client would.

send.py FD FILE [--length N] [--chunk N] [--trailing N]
    [--crawl FILE:REGEX] [--pause-at N ...] [--watch FILE:REGEX]
    [--tease NAME] [--signal NAME] [--half-close]

--length: no more than N bytes of FILE. --chunk: N bytes at a time at most.
--trailing: N bytes of noise after it. --crawl: under 1 MB/s until FILE
matches REGEX. --pause-at: at file offset N wait until
the receiver has read all so far and, with --watch, until FILE matches REGEX.
--tease: then send this signal to the receiver, which must be a child of our
own parent. --signal: at the end wait in the same way, then send this signal
and wait for the receiver's end. --half-close: at the end say that no more
comes, and read until the receiver has gone, which has to send nothing. Fails
if it did not take everything.
"""
import argparse
import fcntl
import os
import random
import re
import select
import signal
import socket
import stat
import struct
import sys
import termios
import time

DEADLINE = time.monotonic() + 30


def wait_until(condition, what, fd=None):
    poll = select.poll()
    if fd is not None:
        poll.register(fd, 0)                # only POLLERR and POLLHUP
    while not condition():
        if poll.poll(0):
            raise BrokenPipeError("it has gone")
        if time.monotonic() > DEADLINE:
            sys.exit("send.py: waited in vain for " + what)
        time.sleep(0.005)


def unread(fd):
    """How much of what was sent the receiver has not read yet."""
    is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    answer = fcntl.ioctl(fd, termios.FIONREAD if is_pipe else
                         termios.TIOCOUTQ, b"\0" * 4)
    return struct.unpack("i", answer)[0]


def matches(watch):
    name, regex = watch.split(":", 1)
    try:
        with open(name, "rb") as f:
            return re.search(regex.encode(), f.read()) is not None
    except FileNotFoundError:
        return False


def pause(opts):
    wait_until(lambda: unread(opts.fd) == 0, "the receiver to read",
               opts.fd)
    if opts.watch:
        wait_until(lambda: matches(opts.watch), opts.watch, opts.fd)


def pieces(opts):
    """(file offset, bytes) of what to send, cut where a pause is wanted."""
    at, end = 0, os.path.getsize(opts.file)
    if opts.length is not None:
        end = min(end, opts.length)
    stops = sorted(n for n in opts.pause_at if 0 < n < end) + [end]
    with open(opts.file, "rb") as f:
        while at < end:
            if at == stops[0]:
                stops.pop(0)
            piece = f.read(min(opts.chunk, stops[0] - at))
            yield at, piece
            at += len(piece)
    noise = random.Random(1)
    for done in range(0, opts.trailing, opts.chunk):
        n = min(opts.chunk, opts.trailing - done)
        yield at + done, noise.randbytes(n)


def put(fd, piece):
    while piece:
        try:
            piece = piece[os.write(fd, piece):]
        except BlockingIOError:
            select.select([], [fd], [])


def crawl(opts, piece):
    """Less than a KiB for each millisecond."""
    for at in range(0, len(piece), 4096):
        if not matches(opts.crawl):
            time.sleep(0.005)
        put(opts.fd, piece[at:at + 4096])


def half_close(fd):
    sock = socket.socket(fileno=os.dup(fd))
    sock.shutdown(socket.SHUT_WR)
    sock.setblocking(True)
    if sock.recv(1):
        sys.exit("send.py: the receiver says something")


def siblings():
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                parent = f.read().rsplit(")", 1)[1].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getppid():
            yield int(name)


def send_signal(name):
    for pid in siblings():
        os.kill(pid, getattr(signal, "SIG" + name))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("fd", type=int)
    p.add_argument("file")
    p.add_argument("--length", type=int)
    p.add_argument("--chunk", type=int, default=1 << 18)
    p.add_argument("--trailing", type=int, default=0)
    p.add_argument("--crawl")
    p.add_argument("--pause-at", type=int, action="append", default=[])
    p.add_argument("--watch")
    p.add_argument("--tease")
    p.add_argument("--signal")
    p.add_argument("--half-close", action="store_true")
    opts = p.parse_args()

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        for at, piece in pieces(opts):
            if at in opts.pause_at:
                pause(opts)
                if opts.tease:
                    send_signal(opts.tease)
            piece = memoryview(piece)
            crawl(opts, piece) if opts.crawl else put(opts.fd, piece)
        if opts.half_close:
            half_close(opts.fd)
        if opts.signal:
            pause(opts)
    except (BrokenPipeError, ConnectionResetError) as e:
        sys.exit("send.py: the receiver did not take everything: %s" % e)
    if opts.signal:
        send_signal(opts.signal)
        wait_until(lambda: not any(siblings()), "the receiver to end")


main()
