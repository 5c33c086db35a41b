# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""What bench's sections are made of: processes that are measured, what moves
bytes for them, disks and images.
"""
import contextlib
import json
import mmap
import os
import random
import re
import signal
import socket
import shutil
import statistics
import subprocess
import sys
import threading
import time
import traceback
from functools import partial
from typing import NamedTuple

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
CLUSTER = 64 * KIB
PIECE = MIB         # that is read and written at a time, as qcow-tool does

STOPS = signal.SIGHUP, signal.SIGINT, signal.SIGTERM

running = set()     # processes to end if we are interrupted


# ------------------------------------------------------------------ table

def show(what, figure="", reference="", ratio="", goal=""):
    line = f"{what:<37}{figure:>11}{reference:>11}{ratio:>8}{goal:>12}"
    print(line.rstrip(), flush=True)


def size(n):
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if n >= unit:
            return f"{n / unit:.4g} {name}"
    return f"{n / KIB:.4g} KiB"


def limit(value, most, spelled):
    return f"<= {spelled}" + ("" if value <= most else " !")


def show_size(what, value, most=None):
    show(what, size(value), goal=limit(value, most, size(most)) if most
         else "")


# -------------------------------------------------------------- processes

class Finished(NamedTuple):
    began: float
    seconds: float
    processor: float    # seconds of it, with those of its children
    memory: int         # the most it had with all its children, if sampled
    log: str


# How often both of a pair are measured.
PAIRS = 5


def command(*words):
    return partial(os.execvp, words[0], words)


def begin(action, stdin, stdout, log):
    """A process that does nothing but call action."""
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        # Python has others, and would hand SIGPIPE's on.
        for number in *STOPS, signal.SIGPIPE:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(log.fileno(), 2)
        os.dup2(log.fileno() if stdout is None else stdout.fileno(), 1)
        if stdin is not None:
            os.dup2(stdin.fileno(), 0)
        os.closerange(3, 1024)  # the other ends of sockets
        action()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def memory_of_all(pid, kind):
    """KiB of a process and its children: Pss, in which of what is shared there
    is a share, or Pss_Anon, that of it which is no file's."""
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total = sum(map(int, re.findall(rf"^{kind}:\s+(\d+)", f.read(),
                                            re.M)))
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), \
                    open(f"/proc/{pid}/task/{task}/children",
                         encoding="ascii") as f:
                total += sum(memory_of_all(child, kind)
                             for child in f.read().split())
    except OSError:
        pass    # it has gone; they come and go
    return total


def wait(pid, sampled):
    memory = 0
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG if sampled else 0)
        if done == pid:
            return status, usage, memory
        began = time.monotonic()
        memory = max(memory, memory_of_all(pid, sampled) * KIB)
        # A quarter of a processor at the most.
        time.sleep(max(0.001, 3 * (time.monotonic() - began)))


def measure(action, stdin=None, stdout=None, beside=None, sampled=None):
    """Runs action in a process, and at the same time beside in a thread. What
    is sampled is a kind of memory."""
    helper = threading.Thread(target=beside or (lambda: None), daemon=True)
    os.sync()   # nobody shall pay for what was written before
    with open("log", "w+", encoding="utf-8") as log:
        began = time.monotonic()
        pid = begin(action, stdin, stdout, log)
        running.add(pid)
        for end in stdin, stdout:
            if end is not None:
                end.close()
        helper.start()
        status, usage, memory = wait(pid, sampled)
        running.discard(pid)
        helper.join()
        took = time.monotonic() - began
        log.seek(0)
        text = log.read()
    if status != 0:
        sys.exit(f"{text}bench: the command above failed")
    return Finished(began, took, usage.ru_utime + usage.ru_stime, memory, text)


def of_a_gib(seconds, data):
    return seconds * GIB / data if data else seconds


def label(data):
    return "CPU of a GiB" if data else "CPU"


def compare(ours, theirs, data, goal=None, name="", cpu_goal=None):
    """Runs both in turns, shows the ratios and returns the last of ours. data
    is how many bytes of it there are: the processor time is for each GiB, of
    all processes. A pair of them, if the reference has others; None: none.
    The goals are ratios."""
    pairs = [(ours(), theirs()) for _ in range(PAIRS)]
    of_ours, of_theirs = data if isinstance(data, tuple) else (data, data)
    times = [(a.seconds, b.seconds) for a, b in pairs]
    processor = [(of_a_gib(a.processor, of_ours),
                  of_a_gib(b.processor, of_theirs)) for a, b in pairs]
    for values, is_time, most in ((times, True, goal),
                                  (processor, False, cpu_goal)):
        ratios = [a / b for a, b in values]
        ratio = statistics.median(ratios)
        what = f"time ({min(ratios):.2f} to {max(ratios):.2f})" if is_time \
            else label(of_ours)
        show(f"  {name}{what}",
             f"{statistics.median(a for a, _ in values):.2f} s",
             f"{statistics.median(b for _, b in values):.2f} s",
             f"{ratio:.2f}",
             limit(ratio, most, f"{most:.2f}") if most else "")
    return pairs[-1][0]


def show_run(finished, data=None, goal=None, name=""):
    """What has no reference; a goal is in seconds."""
    show(f"  {name}time", f"{finished.seconds:.2f} s",
         goal=limit(finished.seconds, goal, f"{goal:g} s") if goal else "")
    show(f"  {name}{label(data)}",
         f"{of_a_gib(finished.processor, data):.2f} s")


# ------------------------------------------------------ moving, and copying

def send(sock, path):
    """Feeds a file into a socket, at next to no cost to us."""
    with sock, open(path, "rb") as f, contextlib.suppress(ConnectionError):
        offset = 0
        while n := os.sendfile(sock.fileno(), f.fileno(), offset, GIB):
            offset += n


def drain(sock, times):
    """Takes all, and adds to times when that began."""
    buf = bytearray(PIECE)
    with sock:
        os.readv(sock.fileno(), [buf])
        times.append(time.monotonic())
        while os.readv(sock.fileno(), [buf]):
            pass


def pieces(fd):
    """All that can be read, in whole pieces in one buffer, aligned."""
    buf = memoryview(mmap.mmap(-1, PIECE))
    while True:
        length = 0
        while length < PIECE and (n := os.readv(fd, [buf[length:]])):
            length += n
        yield buf[:length]
        if length < PIECE:
            return


def copy_to_disk(path, disk_size, flags):
    """The reference of `serve': standard input goes to a disk, and stays."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    if os.path.isfile(path):
        os.ftruncate(fd, disk_size)
    offset = 0
    for piece in pieces(0):
        offset += os.pwritev(fd, [piece], offset)
    os.fsync(fd)
    os._exit(0)     # with no time lost on what need not be freed


def send_file(path):
    """The reference of `stream': a file goes to standard output, by the
    kernel."""
    with open(path, "rb") as f:
        offset = 0
        while n := os.sendfile(1, f.fileno(), offset, PIECE):
            offset += n
    os._exit(0)


def copy_from_file(path):
    """The same by read and write."""
    for piece in pieces(os.open(path, os.O_RDONLY)):
        while piece:
            piece = piece[os.write(1, piece):]
    os._exit(0)


def decode(image, path):
    """The reference of `serve', where clusters are compressed."""
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw",
                    image, path], check=True)
    os.fsync(os.open(path, os.O_RDWR))


def renew(path):
    """What serve shall write to is a device, or else not there."""
    if os.path.exists(path) and not os.path.isfile(path):
        subprocess.run(["blkdiscard", path], check=True)
    elif os.path.exists(path):
        os.unlink(path)


def fill(image, path, action, **how):
    """Sends an image to action, which brings it to a disk."""
    renew(path)
    source, sink = socket.socketpair()
    return measure(action, stdin=sink, beside=partial(send, source, image),
                   **how)


def fill_from(words, action, **how):
    """Sends what a command writes to action."""
    source, sink = socket.socketpair()

    def beside():
        with source:
            child = subprocess.Popen(words, stdout=source)
        running.add(child.pid)
        if child.wait() != 0:
            print("bench: the sender failed", file=sys.stderr)
        running.discard(child.pid)

    return measure(action, stdin=sink, beside=beside, **how)


def serve_words(path, *words):
    return command("qcow-tool", "serve", "--verbose", "--spool-dir", ".",
                   "--destination", path, *words)


def serve(image, path, *words, **how):
    return fill(image, path, serve_words(path, *words), **how)


def serve_file(image, path, *words):
    """The same, but the image is its standard input itself."""
    renew(path)
    with open(image, "rb") as f:
        return measure(serve_words(path, *words), stdin=f)


def copy(image, path, disk_size, flags=0):
    return fill(image, path, partial(copy_to_disk, path, disk_size, flags))


def connect(kind):
    """Two ends: the first is written to, the second read from."""
    if kind == "pipe":
        reading, writing = os.pipe()
        return open(writing, "wb", 0), open(reading, "rb", 0)
    if kind == "TCP":
        with socket.create_server(("127.0.0.1", 0)) as server:
            writing = socket.create_connection(server.getsockname())
            return writing, server.accept()[0]
    return socket.socketpair()


def empty(action, times, kind="socket"):
    """Takes what action sends."""
    source, sink = connect(kind)
    return measure(action, stdout=source, beside=partial(drain, sink, times))


def stream(disk, *words, times, kind="socket"):
    return empty(command("qcow-tool", "stream", "--verbose", "--spool-dir",
                         ".", "--source", disk, *words), times, kind)


def phase(name, finished):
    """With the seconds of one phase alone, as --report report has them; the
    processor time is still that of all."""
    with open("report", encoding="utf-8") as f:
        return finished._replace(seconds=json.load(f)["phases"][name])


def find(regex, log):
    """Numbers in what --verbose says."""
    found = re.search(regex, log)
    if found is None:
        sys.exit(f"{log}bench: --verbose did not say {regex}")
    return map(int, found.groups())


def summary(log):
    """Of serve: the spool's peak, the mapper's runs, and its windows."""
    return find(r"at the most (\d+); (\d+) mapper runs for (\d+)", log)


@contextlib.contextmanager
def nbd_server(*words):
    """An nbdkit that runs beside what is measured; its URI."""
    server = subprocess.Popen(["nbdkit", "-f", "-U", "nbd.sock", *words])
    running.add(server.pid)
    try:
        while not os.path.exists("nbd.sock"):
            if server.poll() is not None:
                sys.exit("bench: nbdkit failed")
            time.sleep(0.01)
        yield "nbd+unix:///?socket=" + os.path.abspath("nbd.sock")
    finally:
        server.terminate()
        server.wait()
        running.discard(server.pid)
        with contextlib.suppress(OSError):
            os.unlink("nbd.sock")


# ------------------------------------------------------- disks and images

def make_disk(path, disk_size, data_size, ranges, block):
    """A raw disk, with data in so many ranges of one length, all over it:
    that of block, from another place in it for each piece."""
    length = data_size // ranges // CLUSTER * CLUSTER
    stride = disk_size // ranges // CLUSTER * CLUSTER
    view = memoryview(block)
    with open(path, "wb", buffering=0) as f:
        f.truncate(disk_size)
        for start in range(0, stride * ranges, stride):
            for at in range(start, start + length, PIECE):
                n = min(PIECE, start + length - at)
                skip = at // 7 % (len(block) - n)
                os.pwrite(f.fileno(), view[skip:skip + n], at)
    return length * ranges


def noise():
    return os.urandom(16 * MIB)


def text():
    """Words, as compressible as words are."""
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9)))
             for _ in range(3000)]
    return " ".join(rng.choices(words, k=8 * MIB // 6)).encode()


def make_image(path, *words):
    subprocess.run(["qemu-img", *words, path], check=True,
                   stdout=subprocess.DEVNULL)


def stream_to_file(disk, path):
    subprocess.run(["qcow-tool", "stream", "--source", disk,
                    "--destination", path], check=True)


def write_into(image, commands, words=("-f", "qcow2")):
    """As a guest would: qemu-io's commands, one after the other."""
    subprocess.run(["qemu-io", "-t", "unsafe", *words, image],
                   input="\n".join(commands).encode(), check=True,
                   stdout=subprocess.DEVNULL)


def grow(disk_size, data_size):
    """Writes that begin in a new place time and again, and come back to old
    ones: so there are new L2 tables all along the file."""
    rng = random.Random(1)
    places = list(range(0, disk_size, disk_size // 64))
    rng.shuffle(places)
    for i in range(len(places)):
        left = data_size // len(places)
        while left > 0:
            place = places[i] if rng.random() < 0.75 else \
                rng.choice(places[:i + 1])
            length = rng.choice((4, 16, 64, 256, 1024)) * KIB
            offset = place + rng.randrange(disk_size // 64 - length)
            yield (f"write -q -P {rng.randint(1, 255)} "
                   f"{offset // 4096 * 4096} {length}")
            left -= length


@contextlib.contextmanager
def loop_device(disk_size):
    """Its path, or None if this machine, or this user, can have none."""
    with open("loop", "wb") as f:
        f.truncate(disk_size)
    made = subprocess.run(["losetup", "--find", "--show", "loop"],
                          capture_output=True, check=False, text=True) \
        if os.geteuid() == 0 and shutil.which("losetup") else None
    device = made.stdout.strip() if made and made.returncode == 0 else None
    try:
        yield device
    finally:
        if device is not None:
            subprocess.run(["losetup", "--detach", device], check=False)
        os.unlink("loop")


def warm(path):
    """Reads a file, so that it need not be read from the disk later on."""
    with open(path, "rb", buffering=0) as f:
        for _ in pieces(f.fileno()):
            pass
