"""What a place that cached replies lie in has to do; what the bytes mean is `entries.py`'s matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pytest_llmbench.records import CacheEntry, CacheStats


class Backend(Protocol):
    """A place for entries: SQLite, Redis.

    Called from one thread at a time, never from an event loop's. Several at once, because one way to the place is paid
    for all of them. What it gives back is not trusted: whoever called checks it. All raise `CacheError`
    (`pytest_llmbench.errors`), and nothing else, where the place cannot be reached, read or written.
    """

    @property
    def place(self) -> str:
        """Where it is, for messages: a path, a URL without its password."""

    def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The values that are there and not expired; what is not there is left out."""

    def put(self, entries: Sequence[CacheEntry]) -> None:
        """Put them all, or none; one that is there is replaced. May push out those that were used longest ago."""

    def remove(self, keys: Sequence[str]) -> None:
        """Take away what turned out to be unusable; one that is not there does no harm."""

    def count(self, *, hits: int, misses: int) -> None:
        """Add to the counters, which outlive the session."""

    def stats(self) -> CacheStats:
        """What lies there."""

    def prune(self) -> int:
        """Take away what is expired, and what is too much; how many replies that were."""

    def upkeep(self) -> str:
        """What the place does by itself, in a sentence; empty where it does nothing unasked."""

    def clear(self) -> int:
        """Take away every entry and the counters; how many replies that were. Touches nothing that is not ours."""

    def close(self) -> None:
        """Let go of the place; once more does no harm."""
