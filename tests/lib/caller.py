#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Becomes a command, after it was as unkind to it as any caller may be.

caller.py SITUATION... -- COMMAND...

A SITUATION is one of
    ignore:SIGNAL[,...]   ignored; "all" is each signal that can be
    block:SIGNAL[,...]    blocked in the inherited mask
    limit:NAME=NUMBER     RLIMIT_NAME, soft and hard
    soft:NAME=NUMBER      RLIMIT_NAME, soft
    umask:OCTAL
    cwd:gone              the working directory has been removed
    close:FD[,...]        closed
    set:NAME=VALUE        in the environment
    unset:NAME
    user:UID
"""
import os
import resource
import signal
import sys
import tempfile


def signals(names):
    if names == "all":
        return signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    return {getattr(signal, "SIG" + name) for name in names.split(",")}


def limit(assignment, is_hard):
    name, number = assignment.split("=")
    which = getattr(resource, "RLIMIT_" + name)
    hard = int(number) if is_hard else resource.getrlimit(which)[1]
    resource.setrlimit(which, (int(number), hard))


def remove_cwd():
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    os.rmdir(gone)


def close(fds):
    for fd in fds.split(","):
        os.close(int(fd))


def become_user(uid):
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))


SITUATIONS = {
    "ignore": lambda w: [signal.signal(s, signal.SIG_IGN)
                         for s in signals(w)],
    "block": lambda w: signal.pthread_sigmask(signal.SIG_SETMASK, signals(w)),
    "limit": lambda w: limit(w, True),
    "soft": lambda w: limit(w, False),
    "umask": lambda w: os.umask(int(w, 8)),
    "cwd": lambda w: remove_cwd(),
    "close": close,
    "set": lambda w: os.environ.update([w.split("=", 1)]),
    "unset": lambda w: os.environ.pop(w, None),
    "user": become_user,
}

# Python ignores these by itself.
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
at = sys.argv.index("--")
for situation in sys.argv[1:at]:
    kind, _, what = situation.partition(":")
    SITUATIONS[kind](what)
os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
