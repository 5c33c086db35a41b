#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Runs a command on a terminal of its own.

with-terminal.py FILE FD[,FD] COMMAND...

The terminal has 80 columns and is the command's fds FD; everything else it
inherits. What is written to the terminal goes to FILE as it is. The exit
status is the command's, or 128 + N.
"""
import fcntl
import os
import struct
import sys
import termios


def main():
    copy, fds, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 25, 80, 0, 0))
    pid = os.fork()
    if pid == 0:
        for fd in fds:
            os.dup2(slave, int(fd))
        os.execvp(command[0], command)
    os.close(slave)
    with open(copy, "wb", buffering=0) as f:
        while True:
            try:
                f.write(os.read(master, 65536))
            except OSError:                 # EIO: its last user has gone
                break
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


main()
