"""What is put before a judge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matter:
    """One reply and what it answers, all as text."""

    question: str
    """What the user asked."""
    reply: str
    """What the model answered, without its reasoning."""
    source: str = ""
    """The document to stay within; empty: there is none beside the question."""
    expected: str = ""
    """An expected answer; empty: there is none."""
