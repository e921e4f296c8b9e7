"""What of a text may be damaged: not numbers, and not the letters of options, without which nobody could answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import TypeVar

Place = TypeVar("Place")

_WORD = re.compile(r"[^\W\d_]{2,}")
_TOKEN = re.compile(r"\S+")
_GAP = re.compile(r"(?<=\S)[^\S\r\n]+(?=\S)")
_LABEL = re.compile(r"\(?[A-Za-z][).:]")
_LONGEST_LABEL = 3
Span = tuple[int, int]


def words(text: str) -> list[Span]:
    """Runs of two letters or more."""
    return [found.span() for found in _WORD.finditer(text)]


def tokens(text: str) -> list[Span]:
    """What stands between spaces, without numbers and the letters of options."""
    return [found.span() for found in _TOKEN.finditer(text) if not _is_needed(found[0])]


def gaps(text: str) -> list[Span]:
    """The spaces within lines; not those between numbers, and not behind the letter of an option."""
    return [found.span() for found in _GAP.finditer(text) if not _holds_apart(text, found)]


def is_label(text: str) -> bool:
    """Whether this is the letter of an option: `A)`, `(b)`, `C.`."""
    return _LABEL.fullmatch(text) is not None


def how_many(strength: float, of: int) -> int:
    """So much of so many, rounded; at least one, for what is damaged is not the same as before."""
    return min(of, max(1, round(strength * of)))


def some(places: Sequence[Place], strength: float, chance: Random) -> list[Place]:
    """A share of the places; with the same chance a greater strength has all those of a smaller one."""
    order = list(places)
    chance.shuffle(order)
    return order[: how_many(strength, len(order))]


def _is_needed(token: str) -> bool:
    return any(letter.isdigit() for letter in token) or is_label(token)


def _holds_apart(text: str, gap: re.Match[str]) -> bool:
    before, after = text[gap.start() - 1], text[gap.end()]
    label = text[max(0, gap.start() - _LONGEST_LABEL - 1) : gap.start()].split()[-1:]
    return (before.isdigit() and after.isdigit()) or any(map(is_label, label))
