# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
"""qmp.py SOCKET COMMAND...

Has QEMU, which listens there, execute commands in their order. Each is JSON,
as in {"execute":"query-block-exports"}. The first that fails is the last.
"""
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(20)
    s.connect(sys.argv[1])
    with s.makefile("rw") as f:
        json.loads(f.readline())    # the greeting
        for command in ['{"execute":"qmp_capabilities"}', *sys.argv[2:]]:
            print(command, file=f, flush=True)
            while "event" in (answer := json.loads(f.readline())):
                pass
            if "error" in answer:
                sys.exit("%s: %s" % (command, answer["error"]["desc"]))
