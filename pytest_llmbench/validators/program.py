"""Running a program that nobody trusts: limits on time, memory and files, a temporary folder, an empty environment.

No sandbox. What its user can read the program can read, and it can use the network.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

_LAUNCHER = Path(__file__).with_name("cell_program.py")
_FILE_BYTES = 10_000_000
_READ = 100_000
"""Characters of its output that are read."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int | None
    """Its exit status, negative for a signal; None: it was stopped at its time limit."""
    output: str
    errors: str


def run_python(
    files: Mapping[str, str], main: str, *, stdin: str = "", limit_s: float = 10.0, memory_bytes: int = 512 << 20
) -> Ended:
    """Run a Python program.

    Args:
        files: name → text, written into a fresh folder, the program's working directory.
        main: which of them to run.
        stdin: what it reads.
        limit_s: seconds it may take, of the clock and of the processor.
        memory_bytes: address space it may take.
    """
    with tempfile.TemporaryDirectory(prefix="llmbench-execute-", ignore_cleanup_errors=True) as folder:
        for name, text in files.items():
            Path(folder, name).write_bytes(text.encode("utf-8", "replace"))
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
            source.write(stdin.encode("utf-8", "replace"))
            source.seek(0)
            limits = [str(int(limit_s) + 1), str(memory_bytes), str(_FILE_BYTES)]
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), *limits, sys.executable, "-I", "-B", "-X", "utf8", main],
                cwd=folder,
                env=_environment(folder),
                stdin=source,
                stdout=said,
                stderr=errors,
                start_new_session=True,
            )
            status = _waited(process, limit_s)
            return Ended(status, _text(said), _text(errors))


def _waited(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started; what made a session of its own and lost its parent escapes."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left in its group
        children = list(children)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def _environment(folder: str) -> dict[str, str]:
    """Nothing of ours: keys stand in the environment."""
    return {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_READ).decode("utf-8", "replace")
