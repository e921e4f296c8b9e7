"""Child processes of known habits: they compute, hold memory, or have children of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUSY = "print('ready', flush=True)\nwhile True: pass"
IDLE = "print('ready', flush=True)\nimport time\ntime.sleep(600)"
GRANDCHILD = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {IDLE!r}], stdout=subprocess.PIPE)\n"
    "child.stdout.readline()\n"
    "print('ready', child.pid, flush=True)\n"
    "sys.stdin.read()\n"
    "child.kill(); child.wait()"
)


def holding(size: int) -> str:
    """Code that keeps `size` bytes of memory that is really used."""
    return f"held = bytearray(b'x') * {size}\n{IDLE}"


@contextmanager
def child(code: str) -> Iterator[tuple[int, list[str]]]:
    """(its pid, the words of its first line), once it has said that; it is ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            words = process.stdout.readline().split()
            assert words[0] == "ready"
            yield process.pid, words[1:]
        finally:
            process.stdin.close()
            if code != GRANDCHILD:
                process.kill()
            process.wait()
