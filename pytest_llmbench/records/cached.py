"""What lies in a response cache, as its place sees it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.records.record import Record

QUESTIONS = "(questions)"
"""The model of entries that hold what was asked, for the semantic cache, and no reply."""
QUESTIONS_KEY = "questions:"
"""How their keys begin: a place that keeps no models knows them by it."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One reply, or what was asked, as it is put away."""

    key: str
    """64 hexadecimal digits, those of what was asked after `QUESTIONS_KEY`; the only thing it is found by."""
    value: bytes
    model: str
    """As users name it: for statistics only, never for finding."""


@dataclass(frozen=True, slots=True)
class ModelShare(Record):
    """How much of a cache is one model's."""

    model: str
    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CacheStats(Record):
    """What lies in a cache."""

    entries: int = 0
    """Replies."""
    size_bytes: int = 0
    """Of keys and values, those of `questions` with them; the place itself may take more."""
    hits: int = 0
    """Look-ups that gave a reply, of all sessions since it was cleared."""
    misses: int = 0
    oldest_at: str = ""
    """When the oldest entry was put; ISO 8601, UTC; empty where there is none, or the place does not know."""
    by_model: tuple[ModelShare, ...] = ()
    """The largest first; empty where the place does not know."""
    questions: int = 0
    """Entries that hold what was asked, for the semantic cache."""
    questions_bytes: int = 0
