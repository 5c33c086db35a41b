#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""Runs a command with a socket that listens where nobody else does.

listen.py [OPTION...] WHERE PLACE -- COMMAND...

WHERE is unix:PATH or an IP address, of which a free port is taken. As soon as
somebody can connect, the file PLACE holds the path or the port. COMMAND gets
the socket as systemd would give it, as fd 3 by LISTEN_FDS.

--accept: one connection is waited for, and COMMAND gets that, not the socket:
"{}" in its words is the number of the fd. --deaf: nobody can connect: the
address is taken and that is all; COMMAND gets nothing.
"""
import os
import socket
import sys


def listening(where, deaf):
    """The socket, and what its clients have to know."""
    if where.startswith("unix:"):
        path = where[len("unix:"):]
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        place = path
    else:
        family = socket.AF_INET6 if ":" in where else socket.AF_INET
        sock = socket.socket(family)
        sock.bind((where, 0))
        place = str(sock.getsockname()[1])
    if not deaf:
        sock.listen()
    return sock, place


def main():
    # argparse would take as long as all the rest.
    at = sys.argv.index("--")
    *options, where, file = sys.argv[1:at]
    command = sys.argv[at + 1:]
    accept, deaf = "--accept" in options, "--deaf" in options
    if not {"--accept", "--deaf"}.issuperset(options):
        sys.exit(__doc__)

    sock, place = listening(where, deaf)
    with open(file + ".new", "w") as f:
        print(place, file=f)
    os.rename(file + ".new", file)

    if deaf:
        sock.set_inheritable(True)
    elif accept:
        connection, _ = sock.accept()
        sock.close()
        connection.set_inheritable(True)
        fd = str(connection.fileno())
        command = [word.replace("{}", fd) for word in command]
    elif sock.fileno() == 3:
        sock.set_inheritable(True)
    else:
        os.dup2(sock.fileno(), 3)
    if not accept and not deaf:
        os.environ["LISTEN_FDS"] = "1"
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execvp(command[0], command)


main()
