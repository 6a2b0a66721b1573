"""Says whether a command shows what it should on a terminal that its standard error is."""

import json
import os
import pty
import re
import subprocess
import sys


def main():
    case = json.load(sys.stdin)
    terminal, end = pty.openpty()
    with subprocess.Popen(
        case["command"],
        cwd=case["dir"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=end,
    ) as command:
        os.close(end)
        shown = read_all(terminal)
    if command.returncode != 0:
        sys.exit(f"the command ended with {command.returncode}: {shown!r}")
    if not re.fullmatch(case["shows"], shown):
        sys.exit(f"it showed {shown!r}")
    print("ok")


def read_all(terminal):
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so when nobody has the other end any more.
            part = b""
        if not part:
            return shown.decode()
        shown += part


main()
