#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Types into a bash that has a completion, and prints what it then shows.

type.py COMPLETION KEYS

Each tab in KEYS is typed once bash has echoed what came before it. The line is
not run.
"""
import os
import pty
import sys
import time

DEADLINE = 30       # seconds for bash to show something


def read_until(master, shown, is_enough):
    """Adds what comes to shown until is_enough(shown)."""
    end = time.monotonic() + DEADLINE
    os.set_blocking(master, False)
    while not is_enough(shown):
        if time.monotonic() > end:
            sys.exit("waited in vain; shown is %r" % shown)
        try:
            shown += os.read(master, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    return shown


def main():
    completion, keys = sys.argv[1], sys.argv[2].encode()
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", PS1="ready> ", HISTFILE="",
                          INPUTRC="/dev/null")
        os.execlp("bash", "bash", "--norc", "--noprofile", "-i")
    shown = read_until(master, b"", lambda s: b"ready> " in s)
    os.write(master, b". '%s'; echo loa''ded\n" % completion.encode())
    shown = read_until(master, shown,
                       lambda s: b"loaded\r\n" in s and s.endswith(b"> "))
    line = b""
    for part in keys.split(b"\t")[:-1]:
        os.write(master, part + b"\t")
        before = len(shown)
        # It shows what was typed, and a blank behind what it has completed.
        shown = read_until(master, shown,
                           lambda s: part in s[before:] and s[-1:] == b" "
                           and len(s) > before + len(part))
    line = shown.rsplit(b"ready> ", 1)[1]
    sys.stdout.buffer.write(line + b"\n")
    os.close(master)
    os.waitpid(pid, 0)


main()
