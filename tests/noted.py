"""Somebody who looks on while models are asked, and remembers what was told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pytest_llmbench.observe.calls import CallBegun, CallEnded, Kind, Note


class Noted:
    """Implements `Observer`."""

    def __init__(self) -> None:
        self.calls: list[CallEnded] = []
        self.told: list[Note] = []
        self._more = asyncio.Event()

    def begins(self, _: CallBegun) -> Mapping[str, str]:
        return {}

    def ends(self, ended: CallEnded) -> None:
        self.calls.append(ended)

    def notes(self, note: Note) -> None:
        self.told.append(note)
        self._more.set()

    async def until(self, kind: Kind) -> None:
        """Wait for the first note of a kind."""
        while not self.count(kind):
            self._more.clear()
            await self._more.wait()

    def tests(self, result: Any) -> None:
        """Not looked at."""

    def flush(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """There is nothing to close."""

    def count(self, kind: Kind) -> int:
        return len(self.of(kind))

    def of(self, kind: Kind) -> list[Note]:
        return [note for note in self.told if note.kind is kind]
