# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""A reader that is 20 ms away, for bench.

Root and a kernel with netem get a link: whoever sends does that in a network
namespace, and each way takes 10 ms. Elsewhere there is a proxy before the
reader. It hands on what comes after 10 ms, and counts it as received another
10 ms later. Of each connection no more is on its way than Linux lets it have
at the most (tcp_wmem). That has no slow start, no losses, and no limit for all
of them together.
"""
import contextlib
import os
import queue
import socket
import subprocess
import threading
import time

RTT = 0.02          # seconds
CHUNK = 256 << 10   # bytes
NET = "10.213.77."


def late_window():
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as f:
        return int(f.read().split()[2])


def take_all(connection):
    buf = bytearray(CHUNK)
    with connection:
        while connection.recv_into(buf):
            pass


class Delay:
    """Between two sockets, in this direction only."""

    def __init__(self, near, far_end, window):
        self.near, self.far_end, self.window = near, far_end, window
        self.coming = queue.SimpleQueue()   # when it was sent, and what
        self.known = queue.SimpleQueue()    # when that is known, how much
        for run_end in self.take, self.hand_on:
            threading.Thread(target=run_end, daemon=True).start()

    @staticmethod
    def wait_until(moment):
        time.sleep(max(moment - time.monotonic(), 0))

    def take(self):
        on_its_way = 0
        with self.near:
            while piece := self.near.recv(CHUNK):
                self.coming.put((time.monotonic(), piece))
                on_its_way += len(piece)
                while on_its_way > self.window - CHUNK:
                    moment, length = self.known.get()
                    self.wait_until(moment)
                    on_its_way -= length
        self.coming.put((time.monotonic(), b""))

    def hand_on(self):
        with self.far_end:
            while True:
                moment, piece = self.coming.get()
                self.wait_until(moment + RTT / 2)
                if not piece:
                    break
                self.far_end.sendall(piece)
                self.known.put((time.monotonic() + RTT / 2, len(piece)))


def accept_all(listening, window):
    """With a window: behind a proxy."""
    with contextlib.suppress(OSError):      # until it is closed
        while True:
            connection = listening.accept()[0]
            if window:
                near, (far_end, connection) = connection, socket.socketpair()
                Delay(near, far_end, window)
            threading.Thread(target=take_all, daemon=True,
                             args=(connection,)).start()


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


@contextlib.contextmanager
def link():
    """The namespace to send in, or None if there can be none."""
    name = "qcow-tool-%d" % os.getpid()
    ends = "qt%d" % os.getpid(), "qu%d" % os.getpid()
    inside = "ip", "netns", "exec", name
    try:
        run("ip", "netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        try:
            run("ip", "link", "add", ends[0], "type", "veth", "peer", "name",
                ends[1], "netns", name)
            for where, end, host in ((), ends[0], "1"), (inside, ends[1], "2"):
                run(*where, "tc", "qdisc", "add", "dev", end, "root", "netem",
                    "delay", "%dus" % (RTT * 500000), "limit", "100000")
                run(*where, "ip", "address", "add", NET + host + "/24", "dev",
                    end)
                run(*where, "ip", "link", "set", end, "up")
        except (OSError, subprocess.CalledProcessError):
            inside = None
        yield inside
    finally:
        run("ip", "netns", "delete", name)  # and the link with it


@contextlib.contextmanager
def reader():
    """How it is far away, the words before a command that sends to it, and
    where to."""
    with link() as inside, socket.socket() as listening:
        if not inside:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
        listening.bind((NET + "1" if inside else "127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=accept_all, daemon=True, args=(
            listening, None if inside else late_window())).start()
        yield ("a link made by netem" if inside else
               "by a proxy; there is no netem",
               inside or (), "tcp://%s:%d" % listening.getsockname())
        listening.shutdown(socket.SHUT_RDWR)
