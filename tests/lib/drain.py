#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Reads an fd into a file, the way a client would.

drain.py FD FILE [--chunk N] [--late] [--leave-after N] [--half-close HOW]

--chunk: N bytes at a time at most. --late: read nothing before the sender has
stopped because it can send no more (or has sent all). --leave-after: be gone
after N bytes, with the rest unread. --half-close: first say that nothing will
be sent from here (write); or instead of leaving that no more will be read
(read), and wait until the sender has gone. Prints how many bytes came.
"""
import argparse
import fcntl
import os
import select
import socket
import struct
import termios
import time


def waiting(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def sender_stands(fd):
    """Until the amount that waits to be read has not changed for a while."""
    deadline = time.monotonic() + 20
    seen, since = 0, time.monotonic()
    while time.monotonic() < deadline:
        now = waiting(fd)
        if now != seen:
            seen, since = now, time.monotonic()
        elif seen and time.monotonic() - since > 0.3:
            return
        time.sleep(0.02)


def half_close(fd, how):
    sock = socket.socket(fileno=os.dup(fd))
    if how == "write":
        sock.shutdown(socket.SHUT_WR)
    else:
        sock.shutdown(socket.SHUT_RD)
        poll = select.poll()
        poll.register(fd, 0)                # only POLLHUP
        poll.poll()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("fd", type=int)
    p.add_argument("file")
    p.add_argument("--chunk", type=int, default=1 << 20)
    p.add_argument("--late", action="store_true")
    p.add_argument("--leave-after", type=int)
    p.add_argument("--half-close", choices=["read", "write"])
    opts = p.parse_args()
    if opts.half_close == "write":
        half_close(opts.fd, "write")
    if opts.late:
        sender_stands(opts.fd)
    total = 0
    with open(opts.file, "wb") as out:
        while opts.leave_after is None or total < opts.leave_after:
            n = opts.chunk
            if opts.leave_after is not None:
                n = min(n, opts.leave_after - total)
            try:
                got = os.read(opts.fd, n)
            except BlockingIOError:
                select.select([opts.fd], [], [])
                continue
            if not got:
                break
            out.write(got)
            total += len(got)
    if opts.half_close == "read":
        half_close(opts.fd, "read")
    print(total)


main()
