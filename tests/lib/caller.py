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
    without:CALL          the kernel does not know it: "landlock"
"""
import ctypes
import os
import resource
import signal
import struct
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


# Of landlock_create_ruleset(2), the same on all machines.
CALLS = {"landlock": 444}


def forget_call(name):
    """Like a kernel that is older, by seccomp(2): ENOSYS is 38."""
    def instruction(code, if_true, if_false, value):
        return struct.pack("HBBI", code, if_true, if_false, value)

    program = ctypes.create_string_buffer(
        instruction(0x20, 0, 0, 0) +            # the number of the call
        instruction(0x15, 0, 1, CALLS[name]) +
        instruction(0x06, 0, 0, 0x00050000 | 38) +
        instruction(0x06, 0, 0, 0x7fff0000))
    filters = struct.pack("HP", 4, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privs, seccomp, by_filter = 38, 22, 2
    if (libc.prctl(no_new_privs, 1, 0, 0, 0) != 0 or
            libc.prctl(seccomp, by_filter, filters) != 0):
        raise OSError(ctypes.get_errno(), "seccomp")


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
    "without": forget_call,
}

# Python ignores these by itself.
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
at = sys.argv.index("--")
for situation in sys.argv[1:at]:
    kind, _, what = situation.partition(":")
    SITUATIONS[kind](what)
os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
