"""Code and pytest run on a terminal of 80 columns, and what may reach it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_llmbench.display import display_safe

COLUMNS = 80
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_PROGRESS = re.compile(r"\r(?=collect|created:|initialized:|ready:|\d+ workers? \[)")
"""pytest and xdist write over their own line while they collect."""
_LIVE = re.compile(r"\x1bD\x1bM\x1b7\x1b\[B\r([^\x1b]*)\x1b\[K\x1b8|\x1b\[J")
"""Our line of progress, drawn below and erased."""


def as_written(code: str) -> str:
    """What a process that runs `code` writes to its terminal, escape sequences and all; it has to end with status 0."""
    status, said = run_on_a_terminal([sys.executable, "-c", code])
    assert status == 0
    return said.decode()


def on_a_terminal(code: str) -> list[str]:
    """The same as plain lines."""
    return _SGR.sub("", as_written(code)).splitlines()


def run_on_a_terminal(command: Sequence[str], folder: Path | None = None, **environ: str) -> tuple[int, bytes]:
    """A command's exit status and every byte that it writes to its terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color", **environ}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder)
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    return process.wait(60), said


def colours(said: bytes) -> set[str]:
    """The colour sequences in what was written."""
    return set(_SGR.findall(said.decode()))


def steering(said: bytes) -> list[str]:
    """Everything in what was written that steers a terminal or hides from its reader, colours and progress left aside.

    A terminal makes `\\r\\n` of each line feed. What is left of a `\\r` then stands alone.
    """
    shown = _LIVE.sub(r"\1", _PROGRESS.sub("\n", _SGR.sub("", said.decode())))
    return [line for line in shown.replace("\r\n", "\n").split("\n") if display_safe(line) != line]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux says EIO when the other side is closed.
        return b""
