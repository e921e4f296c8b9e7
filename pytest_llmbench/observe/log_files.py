"""The files of the request log: one writer a file, whole lines, bounded in size, readable while they are written.

A process writes into files of its own, numbered from the second on (`requests-main.jsonl`, `requests-main.2.jsonl`,
...); none is ever renamed, so that whoever follows them loses nothing. A process that is started again for the same run
begins the next file, and never adds to one that another may have left with half a line.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FILE_BYTES = 32 * 2**20
"""A file that is so large is followed by the next."""

MOST_BYTES = 512 * 2**20
"""Of a process's files together: beyond it the oldest goes."""

_OTHERS = re.compile(r"[^a-z0-9]+")
"""What the name of a process may have, a worker's for instance, and that of a file has not."""
_NAME = re.compile(r"requests-([a-z0-9]+)(?:\.(\d+))?\.jsonl")


def files_in(folder: Path) -> Mapping[str, list[Path]]:
    """Process → its files, in the order in which they were written; none where there is no such folder."""
    found: defaultdict[str, list[tuple[int, Path]]] = defaultdict(list)
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if name := _NAME.fullmatch(path.name):
                found[name[1]].append((int(name[2] or 1), path))
    return {process: [path for _, path in sorted(found[process])] for process in sorted(found)}


class LogFiles:
    """Writes lines of one process; belongs to one thread.

    Args:
        folder: where to; made with the first line.
        process: whose they are.
        head: gives the first line of a file.
        file_bytes: a file that is so large is followed by the next.
        most_bytes: of all together.
    """

    def __init__(
        self,
        folder: Path,
        process: str,
        head: Callable[[], bytes],
        *,
        file_bytes: int = FILE_BYTES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = folder
        self._process = _OTHERS.sub("", process.lower()) or "process"
        self._head = head
        self._file_bytes = file_bytes
        self._most_bytes = most_bytes
        self._file = -1
        self._size = 0
        self._is_broken = False
        """Whether the file ends amid a line: the disk was full."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with its end, in one piece.

        Raises:
            OSError: not all of them are written; the next one begins a line of its own all the same.
        """
        data = b"".join(lines)
        if self._file < 0 or self._size + len(data) > self._file_bytes:
            self._begin_next()
        self._put(data)

    def close(self) -> None:
        """Let go of the file; another write begins the next."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _put(self, data: bytes) -> None:
        view = memoryview(b"\n" + data if self._is_broken else data)
        self._is_broken = True
        while view:
            written = os.write(self._file, view)
            self._size += written
            view = view[written:]
        self._is_broken = False

    def _begin_next(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = files_in(self._folder).get(self._process, [])
        last = _NAME.fullmatch(earlier[-1].name) if earlier else None
        for number in itertools.count(int(last[2] or 1) + 1 if last else 1):
            name = f"requests-{self._process}{f'.{number}' if number > 1 else ''}.jsonl"
            with contextlib.suppress(FileExistsError):
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
                self._file = os.open(self._folder / name, flags, 0o600)
                break
        self._size, self._is_broken = 0, False
        self._forget(earlier)
        self._put(self._head())

    def _forget(self, earlier: Sequence[Path]) -> None:
        """Remove the oldest, where all together are too large with another full one."""
        sizes = [(path, _size_of(path)) for path in earlier]
        excess = sum(size for _, size in sizes) + self._file_bytes - self._most_bytes
        for path, size in sizes:
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                excess -= size


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
