"""Logs that cannot fill a disk: a server's output goes through the supervisor. Standard library only.

A server writes into a pipe. What comes out is kept in a file of bounded size with one older file beside it, keys taken
out before they reach the disk; the last lines stay in memory, so that an error shows them whole across a rotation, or
when the disk is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from pytest_llmbench import clock
from pytest_llmbench.redaction import redact_exact

FILE_BYTES = 4 * 2**20
"""A server's log file is put aside at this size; with the older one a start keeps at most twice as much."""
OWN_FILE_BYTES = 2**20
"""The same for the supervisor's own log."""
STARTS_KEPT = 10
"""Logs of a server's last starts; those of earlier starts of the same run are removed."""
RUNS_KEPT = 20
"""Log folders of this many runs are kept, those that were written to last, and of as many chats."""
UNDER_WAY_S = 3600.0
"""A folder that was written to so lately may be that of a run under way: it stays."""
_REQUESTS, _OF_CHAT = "requests-", "requests-chat"
"""How files of request logs begin, and those of chats among them."""
TAIL_LINES = 40
TAIL_BYTES = 16_384
LINE_BYTES = 65_536
"""A longer line is cut into pieces."""
OLDER = ".1"
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
_SECRET_BYTES = 1024
"""No key in whatever form is longer, or it is no key of ours."""
_PIPE_BYTES = 2**20
_QUIET_S = 0.25
"""Until then the pipe (1 MiB on Linux) holds what a server says."""
_BUSY_S = 0.02


class BoundedLog:
    """An append-only file that is put aside as `NAME.1` when it is full. Never raises: a full disk costs lines only.

    Args:
        path: the file; readable by its owner alone.
        limit_bytes: of each of the two files.
    """

    def __init__(self, path: Path, *, limit_bytes: int = FILE_BYTES) -> None:
        self.path = path
        self._limit = limit_bytes
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size
        self._tail = b""
        self._lost = ""

    def write(self, data: bytes) -> None:
        """Keep `data`: whole lines, or a piece of one that is too long."""
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        for start in range(0, len(data), self._limit):
            self._keep(data[start : start + self._limit])

    def tail(self) -> str:
        """The last lines, and why some of them are not in the file where that is so."""
        lines = self._tail.decode(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([*lines, *([f"(the log file lacks lines: {self._lost})"] if self._lost else [])])

    def close(self) -> None:
        """Close the file; the tail stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _keep(self, data: bytes) -> None:
        try:
            if self._size and self._size + len(data) > self._limit:
                self._put_aside()
            self._size += os.write(self._file, data)
        except OSError as error:
            self._lost = error.strerror or type(error).__name__

    def _put_aside(self) -> None:
        self.path.replace(f"{self.path}{OLDER}")
        new = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.close(self._file)
        self._file, self._size = new, 0


class Output:
    """What a process writes, read from a pipe within the running event loop.

    It is looked at now and then, not when something comes: a server logs that a request begins, and whoever wakes up to
    read that takes the processor from it at the worst moment. One that floods is slowed down to about 50 MB/s.

    Args:
        log: where it is kept, without the keys that are registered.
        on_line: told of every line, or piece of one, without its end.
    """

    def __init__(self, log: BoundedLog, on_line: Callable[[bytes], None]) -> None:
        self.log = log
        self._on_line = on_line
        self._rest = b""
        self._end, self.write_end = os.pipe()
        os.set_blocking(self._end, False)
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: not Linux
            fcntl.fcntl(self._end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_QUIET_S, self._look)

    def read(self) -> None:
        """Take what has come by now."""
        if self._end >= 0:
            self._take()

    def tail(self) -> str:
        """The last lines of what has come by now."""
        self.read()
        return "\n".join(part for part in (self.log.tail(), self._rest.decode(errors="replace")) if part)

    def close(self) -> None:
        """Take what has come, and stop: the process has ended."""
        if self._end < 0:
            return
        self._take()
        self._pass_on(b"\n" if self._rest else b"")
        self._timer.cancel()
        os.close(self._end)
        self._end = -1
        self.log.close()

    def _look(self) -> None:
        taken = self._take()
        if taken >= 0:
            self._timer = self._loop.call_later(_BUSY_S if taken >= LINE_BYTES else _QUIET_S, self._look)

    def _take(self) -> int:
        """How many bytes were read; -1 at the end of the pipe."""
        taken = 0
        while taken < _PIPE_BYTES:  # no more at once: whoever floods must not hold up the event loop
            try:
                data = os.read(self._end, LINE_BYTES)
            except BlockingIOError:
                return taken
            if not data:
                return -1
            taken += len(data)
            self._pass_on(data)
        return taken

    def _pass_on(self, data: bytes) -> None:
        """Whole lines go on; of a line without end all but its last bytes, which may be the beginning of the key."""
        text = redact_exact((self._rest + data).decode(errors="surrogateescape"))
        whole, end, self._rest = text.encode(errors="surrogateescape").rpartition(b"\n")
        if len(self._rest) > LINE_BYTES:
            whole, end, self._rest = whole + end + self._rest[:-_SECRET_BYTES], b"\n", self._rest[-_SECRET_BYTES:]
        if end:
            self.log.write(whole + end)
            for line in whole.split(b"\n"):
                self._on_line(line)


def opened_private(path: Path) -> BinaryIO:
    """A file to add to, made where there is none; readable by its owner alone.

    Raises:
        OSError: it cannot be written to.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with contextlib.suppress(OSError):  # another's file, or a file system without modes
        os.fchmod(descriptor, 0o600)  # an earlier version left it readable by all
    return os.fdopen(descriptor, "ab")


def new_path(stem: str) -> Path:
    """Create the next `STEM.N.log`, readable by its owner alone; old ones of the same stem go.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder, name = Path(stem).parent, Path(stem).name
    taken = [re.fullmatch(rf"{re.escape(name)}\.(\d+)\.log", path.name) for path in folder.iterdir()]
    last = max((int(found[1]) for found in taken if found), default=0)
    for number in itertools.count(last + 1):
        try:
            os.close(os.open(f"{stem}.{number}.log", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        _remove(Path(f"{stem}.{number - STARTS_KEPT}.log"))
        return Path(f"{stem}.{number}.log")
    raise AssertionError("unreachable")


def forget_old_runs(folder: Path, keep: int = RUNS_KEPT) -> None:
    """Remove the log folders of all but the last used `keep` runs, and as many chats; anything else stays as it is.

    Args:
        folder: holds one folder of logs a run, named by its id.
        keep: how many stay.
    """
    with contextlib.suppress(OSError):  # another session is at it, or there is none yet
        runs = [path for path in folder.iterdir() if _RUN_ID.fullmatch(path.name) and not path.is_symlink()]
        chats = {path for path in runs if _is_chat(path)}
        _forget_oldest([path for path in runs if path not in chats], keep)
        _forget_oldest(chats, keep)


def _forget_oldest(runs: Collection[Path], keep: int) -> None:
    under_way = clock.now().timestamp() - UNDER_WAY_S
    written = sorted((_written_at(run), run) for run in runs)
    for at, old in written[: max(0, len(runs) - keep)]:
        if at < under_way:
            shutil.rmtree(old, ignore_errors=True)


def _written_at(run: Path) -> float:
    """When something was last written there, since 1970: a folder's own time does not change when its files grow."""
    return max((path.stat().st_mtime for path in run.iterdir()), default=run.stat().st_mtime)


def _is_chat(run: Path) -> bool:
    requests = [path.name for path in run.iterdir() if path.name.startswith(_REQUESTS)]
    return bool(requests) and all(name.startswith(_OF_CHAT) for name in requests)


class OwnOutput:
    """The supervisor's standard output and error, bounded."""

    def __init__(self, path: Path) -> None:
        self._log = BoundedLog(path, limit_bytes=OWN_FILE_BYTES)

    def write(self, text: str) -> int:
        self._log.write(redact_exact(text).encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def bound_own_output(path: Path) -> None:
    """From now on what this process prints goes to a bounded log at `path`."""
    sys.stdout = sys.stderr = OwnOutput(path)


def _remove(path: Path) -> None:
    for old in (path, Path(f"{path}{OLDER}")):
        with contextlib.suppress(OSError):
            old.unlink()
