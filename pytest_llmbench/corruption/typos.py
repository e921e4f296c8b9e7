"""Slips of a keyboard: a neighbouring key, two letters swapped, one lost, one doubled."""

from __future__ import annotations

from random import Random

from pytest_llmbench.corruption.spans import Span, some, words

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""A row of keys begins half a key further right than the one above it."""


def _neighbours() -> dict[str, str]:
    found: dict[str, str] = {}
    for number, row in enumerate(_ROWS):
        for place, key in enumerate(row):
            beside = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
            above = _ROWS[number - 1][place : place + 2] if number else ""
            below = _ROWS[number + 1][max(0, place - 1) : place + 1] if number + 1 < len(_ROWS) else ""
            found[key] = beside + above + below
    return found


NEIGHBOURS = _neighbours()


def typos(text: str, strength: float, seed: int, *, of: str = "words") -> str:
    """A text with slips.

    Args:
        text: it; numbers and single letters stay as they are.
        strength: share of the words (runs of two letters or more) with one slip each, or of the letters in them.
        seed: with the same one, the slips of a smaller strength are among those of a greater one.
        of: `words` or `characters`.
    """
    chance = Random(seed)
    spans = words(text)
    if not spans:
        return text
    places = some(spans if of == "words" else _single(spans), strength, chance)
    letters, taken = list(text), {place for place, _ in places}
    for start, end in sorted(places):
        own = Random(f"{seed}/{start}")
        place = own.randrange(start, end) if of == "words" else start
        _slip(letters, text, place, own, may_swap=of == "words" or place + 1 not in taken)
    damaged = "".join(letters)
    # Among letters a lost one and a doubled one may make up for each other; in a word there is one slip.
    return damaged if damaged != text else typos(text, strength, seed)


def _single(spans: list[Span]) -> list[Span]:
    return [(place, place + 1) for start, end in spans for place in range(start, end)]


def _slip(letters: list[str], text: str, place: int, chance: Random, *, may_swap: bool) -> None:
    """One slip at a place; the first letter of a word is not lost, so that no word is."""
    letter, before, after = text[place], text[max(0, place - 1) : place], text[place + 1 : place + 2]
    near = NEIGHBOURS.get(letter.lower(), "")
    slips = ["double"]
    slips += ["near"] if near else []
    slips += ["lose"] if before.isalpha() else []
    slips += ["swap"] if may_swap and after.isalpha() and after != letter else []
    slip = chance.choice(slips)
    if slip == "swap":
        letters[place], letters[place + 1] = after, letter
    elif slip == "near":
        typed = chance.choice(near)
        letters[place] = typed.upper() if letter.isupper() else typed
    else:
        letters[place] = letter * 2 if slip == "double" else ""
