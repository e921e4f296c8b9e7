"""What `llmbench doctor` tells of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; somebody may need it."""
    PROBLEM = "problem"
    """What is configured will not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    told: str
    fix: str = ""
    """What to do about it."""
