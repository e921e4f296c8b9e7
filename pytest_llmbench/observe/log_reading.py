"""The request log read: lines of all processes of a run in the order of time, while it is written or long after.

A line that is no whole JSON object is passed over and counted: it is the last one of a process that was killed, or lies
before the first of those that could be written again after a disk was full.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pytest_llmbench.observe.log_fields import VERSION, Line
from pytest_llmbench.observe.log_files import files_in

_AT_ONCE = 16 * 2**20
"""Bytes that a look reads of a file."""


class LogReader:
    """Reads the log of one run, or single files of one.

    Args:
        sources: process → its files in the order in which they were written; asked anew by `look`.
    """

    def __init__(self, sources: Callable[[], Mapping[str, Iterable[Path]]]) -> None:
        self._sources = sources
        self._ends: dict[Path, tuple[int, bytes]] = {}
        """Of files that are followed: how far they were read, and the half line that they end with."""
        self.broken = 0
        """Lines that were passed over: they are not whole."""
        self.newer = 0
        """Lines that were passed over: a newer version of the program wrote them."""

    @classmethod
    def of_folder(cls, folder: Path) -> LogReader:
        """The log in a folder."""
        return cls(lambda: files_in(folder))

    def lines(self) -> Iterator[Line]:
        """All there are by now, in the order of time; held in memory one a process.

        Within a process they stay as they were written: what a measurement sent comes late, for it is written when
        nothing is timed.
        """
        streams = [self._of_process(paths) for paths in self._sources().values()]
        return heapq.merge(*streams, key=_moment)

    def look(self) -> list[Line]:
        """Those that have come since the last look, in the order of time."""
        found: list[Line] = []
        for paths in self._sources().values():
            for path in paths:
                found += self._new(path)
        return sorted(found, key=_moment)

    def reads(self, path: Path) -> bool:
        """Whether a file is one of those that are read, by whatever name."""
        read = (each for paths in self._sources().values() for each in paths)
        return path.exists() and any(each.exists() and path.samefile(each) for each in read)

    def _of_process(self, paths: Iterable[Path]) -> Iterator[Line]:
        for path in paths:
            try:
                with path.open("rb") as file:
                    for raw in file:
                        yield from self._read(raw)
            except FileNotFoundError:  # it was the oldest, and the process that writes has removed it
                continue

    def _new(self, path: Path) -> list[Line]:
        start, half = self._ends.get(path, (0, b""))
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            return []
        *whole, rest = (half + data).split(b"\n")
        self._ends[path] = start + len(data), rest
        return [line for raw in whole for line in self._read(raw)]

    def _read(self, raw: bytes) -> Iterator[Line]:
        """The line, where it is one."""
        if not raw.strip():
            return
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("v"), int):
            self.broken += 1
        elif line["v"] > VERSION:
            self.newer += 1
        else:
            yield line


def _moment(line: Line) -> str:
    """All of them are told in UTC and in one form, so text sorts as time does."""
    return str(line.get("at", ""))
