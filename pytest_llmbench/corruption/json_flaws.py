"""Flaws in JSON that people and programs write by hand: such as a comma too many."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random

_PIECE = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]', re.DOTALL)
_OPENING = re.compile(r"[\[{]")
Flaw = tuple[int, int, str]
"""(place, characters, what stands there instead)"""
_TRIES = 20
"""Openings that are looked at; a text may be full of brackets."""


def malformed_json(text: str, count: float, seed: int) -> str:
    """With flaws in the JSON that it is or holds, which no parser takes then; the text itself where it holds none.

    Args:
        text: it.
        count: how many flaws, as far as it has places for them.
        seed: decides which.
    """
    found = _held(text)
    if found is None:
        return text
    start, end = found
    chance = Random(seed)
    flaws = list(_flaws(text[start:end]))
    chance.shuffle(flaws)
    return text[:start] + _with(_chosen(flaws, text[start:end], int(count)), text[start:end]) + text[end:]


def _chosen(flaws: list[Flaw], text: str, count: int) -> list[Flaw]:
    """The first so many that do not touch each other, and do not mend each other: two lost quotes may."""
    taken: list[Flaw] = []
    for flaw in flaws:
        is_apart = all(abs(flaw[0] - other[0]) > max(flaw[1], other[1]) for other in taken)
        if len(taken) < count and is_apart and not _is_json(_with([*taken, flaw], text)):
            taken.append(flaw)
    return taken


def _with(flaws: list[Flaw], text: str) -> str:
    for place, length, put in sorted(flaws, reverse=True):
        text = text[:place] + put + text[place + length :]
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _held(text: str) -> tuple[int, int] | None:
    """Where the first object or list that is not empty stands."""
    decoder = json.JSONDecoder()
    for number, opening in enumerate(_OPENING.finditer(text)):
        if number == _TRIES:
            return None
        try:
            value, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        if value:
            return opening.start(), end
    return None


def _flaws(text: str) -> Iterator[Flaw]:
    """What may be wrong with it."""
    pieces = list(_PIECE.finditer(text))
    for number, piece in enumerate(pieces):
        after = pieces[number + 1][0] if number + 1 < len(pieces) else ""
        if piece[0] == ",":
            yield piece.start(), 1, " "
            yield piece.start(), 1, ",,"
        elif piece[0].startswith('"') and after == ":":
            yield piece.start(), len(piece[0]), f"'{piece[0][1:-1]}'"
            yield piece.end() - 1, 1, ""
        elif piece[0] == ":":
            yield piece.start(), 1, " ="
    yield len(text) - 1, 1, ""
    yield len(text) - 1, 1, "," + text[-1]
