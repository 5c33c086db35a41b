# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""A reader that is 20 ms away, for bench.

Root and a kernel with netem get a link: whoever sends does that in a network
namespace, and each way takes 10 ms. Elsewhere the reader holds back by itself:
of each connection no more is on its way than Linux lets it have at the most
(tcp_wmem), and it takes 20 ms until there is room again. That has no slow
start, no losses, and no limit for all of them together.
"""
import collections
import contextlib
import os
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


def take(connection, window):
    """All that comes; with a window, as late as from far away."""
    buf = bytearray(CHUNK)
    on_its_way = collections.deque()    # when it came, and how much
    total = 0
    with connection:
        while n := connection.recv_into(buf):
            if not window:
                continue
            on_its_way.append((time.monotonic(), n))
            total += n
            while total > window - CHUNK:
                came, n = on_its_way.popleft()
                total -= n
                time.sleep(max(came + RTT - time.monotonic(), 0))


def accept_all(listening, window):
    with contextlib.suppress(OSError):      # until it is closed
        while True:
            threading.Thread(target=take, daemon=True, args=(
                listening.accept()[0], window)).start()


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
               "a reader that holds back; there is no netem",
               inside or (), "tcp://%s:%d" % listening.getsockname())
        listening.shutdown(socket.SHUT_RDWR)
