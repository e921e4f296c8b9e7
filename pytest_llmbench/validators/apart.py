"""What is run in a process apart, because nobody knows whether it comes back: one a process, started when needed.

A job that outlives its limit, or takes too much memory, costs that process and no other; the next job gets a fresh one.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.validators.cell import SPARE_S

_SCRIPT = Path(__file__).with_name("cell.py")
_CHUNK = 1 << 16
_START_S = 60.0


class ApartError(Exception):
    """A job was refused or did not end; the message completes `the pattern …`."""

    def __init__(self, message: str, *, late: bool) -> None:
        super().__init__(message)
        self.late = late
        """It took too long or too much memory; else it is not valid."""


class _Cell:
    """One process that does one job at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: set[str] = set()

    def run(self, job: str, arguments: dict[str, Any], limit_s: float) -> Any:
        module, _, function = job.partition(":")
        asked = {"module": module, "function": function, "arguments": arguments, "limit_s": limit_s}
        request = json.dumps(asked).encode() + b"\n"
        with self._lock:
            line = b""
            try:
                process = self._ready(module)
                _send(process, request)
                line = _line(process, limit_s + SPARE_S)
            except OSError:
                line = b""
            finally:
                if not line:  # also where Ctrl-C came in between: the answer would be taken for that of the next job
                    self.end()
        if not line:
            raise ApartError(f"takes longer than {limit_s:g} s, or too much memory", late=True)
        return json.loads(line)

    def end(self) -> None:
        """End the process, which holds nothing that would be lost."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close(process)

    def leave(self) -> None:
        """In a forked child: the process is the parent's, and so is a lock that one of its threads holds."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            process.poll()  # learns that it is nobody's child here, and need not be waited for
            _close(process)

    def _ready(self, module: str) -> subprocess.Popen[bytes]:
        """The process with a module loaded; a fresh one where there is none any more."""
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._loaded = set()
            _send(self._process, json.dumps([path for path in sys.path if path]).encode() + b"\n")
        if module not in self._loaded:  # a busy machine takes its time to start Python, which is no job's fault
            _send(self._process, json.dumps({"load": module}).encode() + b"\n")
            if not _line(self._process, _START_S):
                raise InfraError(
                    f"the process that runs {module} apart did not start",
                    category=Category.INTERNAL,
                    hint=f"what it says: {sys.executable} -c 'import pytest_llmbench.validators.{module}'",
                )
            self._loaded.add(module)
        return self._process


_cell = _Cell()
atexit.register(_cell.end)
os.register_at_fork(after_in_child=_cell.leave)


def run(job: str, arguments: dict[str, Any], limit_s: float) -> Any:
    """The answer of a job, run in the cell.

    Args:
        job: module of this package and function: `cell_patterns:search`.
        arguments: as the job takes them, builtin types.
        limit_s: seconds that it may take; the job stops itself then, and is killed soon after.

    Raises:
        ApartError: it was refused, or did not end.
        InfraError: the cell did not start.
    """
    answer = _cell.run(job, arguments, limit_s)
    if "refused" in answer:
        raise ApartError(answer["refused"], late=answer["late"])
    return answer


def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def _line(process: subprocess.Popen[bytes], within_s: float) -> bytes:
    """The next line; empty where none came in time, or the process ended."""
    assert process.stdout is not None
    pipe, deadline = process.stdout.fileno(), clock.monotonic() + within_s
    chunks: list[bytes] = []
    while not chunks or not chunks[-1].endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - clock.monotonic()))
        chunk = os.read(pipe, _CHUNK) if ready else b""
        if not chunk:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:  # what could not be sent any more is not needed
            continue
