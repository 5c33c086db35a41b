#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Runs a command that reads from several pipes, and fills these.

feed.py [OPTION...] NAME=FILE... -- COMMAND...

Each FILE comes through a pipe of its own; "{NAME}" in the words of COMMAND is
the number of its fd. One process writes all of it, and waits where a pipe is
full: a command that reads its pipes one after the other, and not in the order
in which they are written, is stuck.

--order NAMES       one file whole, and its pipe closed, before the next:
                    names with commas between, by default as given
--together          a piece of each in turn
--chunk N           pieces of N bytes
--late-end          no pipe is closed before all is written
--nonblocking       the command's ends are non-blocking
--uuid              "{NAME}" is a UUID, which LISTEN_FDNAMES tells of

The exit status is the command's, or 128 + N.
"""
import argparse
import fcntl
import os
import signal
import sys
import uuid

FIRST = 3                   # of the fds that LISTEN_FDNAMES names
HIGH = 100                  # out of the way of these


class Pipe:
    def __init__(self, name, path):
        self.name = name
        with open(path, "rb") as f:
            self.content = memoryview(f.read())
        read, write = os.pipe()
        self.read = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, HIGH)
        self.write = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, HIGH)
        os.close(read)
        os.close(write)
        self.uuid = str(uuid.uuid4())

    def put(self, length):
        """False when nothing is left, or nobody reads."""
        try:
            n = os.write(self.write, self.content[:length])
        except BrokenPipeError:
            return False
        self.content = self.content[n:]
        return len(self.content) > 0

    def close(self):
        os.close(self.write)


def start(opts, pipes, command):
    names = {}
    for i, pipe in enumerate(pipes):
        names["{%s}" % pipe.name] = pipe.uuid if opts.uuid else str(FIRST + i)
    command = [names.get(word, word) for word in command]
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for i, pipe in enumerate(pipes):
            os.dup2(pipe.read, FIRST + i)
            os.set_blocking(FIRST + i, not opts.nonblocking)
        if opts.uuid:
            os.environ["LISTEN_FDS"] = str(len(pipes))
            os.environ["LISTEN_FDNAMES"] = ":".join(p.uuid for p in pipes)
            os.environ["LISTEN_PID"] = str(os.getpid())
        os.execvp(command[0], command)
    except OSError as e:
        os.write(2, ("feed.py: %s: %s\n" % (command[0], e)).encode())
    finally:
        os._exit(127)


def fill(opts, pipes):
    left = [p for p in pipes if p.content]
    ended = [p for p in pipes if not p.content]
    if not opts.late_end:
        for pipe in ended:
            pipe.close()
    while left:
        for pipe in left if opts.together else left[:1]:
            if pipe.put(opts.chunk):
                continue
            left.remove(pipe)
            ended.append(pipe)
            if not opts.late_end:
                pipe.close()
            break
    if opts.late_end:
        for pipe in ended:
            pipe.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--order")
    p.add_argument("--together", action="store_true")
    p.add_argument("--chunk", type=int, default=1 << 16)
    p.add_argument("--late-end", action="store_true")
    p.add_argument("--nonblocking", action="store_true")
    p.add_argument("--uuid", action="store_true")
    p.add_argument("file", nargs="+")
    at = sys.argv.index("--")
    opts = p.parse_args(sys.argv[1:at])

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    pipes = [Pipe(*word.split("=", 1)) for word in opts.file]
    pid = start(opts, pipes, sys.argv[at + 1:])
    for pipe in pipes:
        os.close(pipe.read)
    if opts.order:
        order = opts.order.split(",")
        pipes.sort(key=lambda pipe: order.index(pipe.name))
    fill(opts, pipes)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


main()
