"""What a validator is given, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 200
"""Characters of an extracted answer that a verdict keeps."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reply is held against."""

    answer: str
    options: tuple[str, ...] = ()
    """The texts to choose from, first is A."""
    argument: str = ""
    """What stands behind the colon of a check: `comma` of `list:comma`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validator says of one reply."""

    correct: bool
    extracted: str | None
    """The answer as it stands in the reply; None where none could be read."""
    reason: str
    """Why, in words."""
    scored: bool = True
    """False where nobody can tell: neither correct nor wrong, and no part of any accuracy."""


def right(extracted: str) -> Verdict:
    """The reply gives the expected answer."""
    return Verdict(correct=True, extracted=shortened(extracted), reason="the expected answer")


def wrong(reason: str, extracted: str | None = None) -> Verdict:
    """The reply does not give the expected answer, or not in the form that was asked for."""
    return Verdict(correct=False, extracted=None if extracted is None else shortened(extracted), reason=reason)


def differs(extracted: str, expected: str) -> Verdict:
    """The reply commits itself to another answer."""
    return wrong(f"{shortened(extracted)!r} is not {shortened(expected)!r}", extracted)


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
