"""The shortest and the longest duration that the rules of an older page allow, where they say it in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_UNIT = r"(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hours?|hrs?)\b"
_NUMBER = rf"(?<![\d.])(?P<number>\d{{1,6}}(?:\.\d{{1,3}})?)\s{{0,3}}-?\s{{0,3}}{_UNIT}"
_LOW = (
    rf"(?:<|\bunder\b|\bbelow\b|\bless than\b|\bshorter than\b)\s*{_NUMBER}",
    rf"(?<!\d)(?<!\d\s)\b(?:min(?:imum)?|at least)\b[^\d\n,;.]{{0,20}}{_NUMBER}",
    rf"{_NUMBER}\s*min(?:imum)?\b",
)
_HIGH = (
    rf"(?:>|\bover\b|\babove\b|\bmore than\b|\blonger than\b|\bexceeds?\b)\s*{_NUMBER}",
    rf"\b(?:max(?:imum)?|at most)\b[^\d\n,;.]{{0,20}}{_NUMBER}",
    rf"{_NUMBER}\s*max(?:imum)?\b",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may be, in seconds; None: the rules do not say."""

    shortest_s: float | None = None
    longest_s: float | None = None


def limits_in(rules: str) -> Limits:
    """The limits that rules name.

    Args:
        rules: Markdown, such as `| < 2 minutes | too short |` or `- Maximum: 7 minutes`.

    Returns:
        The limits; one that is named with different numbers is None, as nobody can tell which is meant.
    """
    return Limits(_only(_found(_LOW, rules)), _only(_found(_HIGH, rules)))


def _found(forms: tuple[str, ...], rules: str) -> Iterator[float]:
    for form in forms:
        for said in re.finditer(form, rules, re.IGNORECASE):
            yield float(said["number"]) * _UNITS[said["unit"][0].lower()]


def _only(found: Iterator[float]) -> float | None:
    values = set(found)
    return values.pop() if len(values) == 1 else None
