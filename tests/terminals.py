"""Code run on a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

COLUMNS = 80


def as_written(code: str) -> str:
    """What a process that runs `code` writes to its terminal, escape sequences and all; it has to end with status 0."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert process.wait(60) == 0
    return said.decode()


def on_a_terminal(code: str) -> list[str]:
    """The same as plain lines."""
    return re.sub(r"\x1b\[[0-9;]*m", "", as_written(code)).splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux says EIO when the other side is closed.
        return b""
