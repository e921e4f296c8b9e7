"""The choices that asking goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """From the run's settings; see `options.py`."""

    max_concurrency: int = 100
    """Requests under way at once to one model."""
    attempts: int = 5
    """How often a request is tried, where trying again may help."""
    prefer: str = "speed"
    """`speed` or `cost`."""
    keep_text: bool = True
    """Whether what had come of a failed answer may be stored."""
