"""Damage to words, letters' case and spaces, and sentences that have nothing to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from random import Random

from pytest_llmbench.corruption.spans import gaps, some, tokens, words

_GAPS = ("", "  ", "\t", "\n")


def missing_words(text: str, strength: float, seed: int) -> str:
    """Without a share of the words; numbers and the letters of options stay, and one word at least."""
    spans = tokens(text)
    if len(text.split()) < 2 or not spans:
        return text
    gone = some(spans, strength, Random(seed))
    if len(gone) == len(text.split()):
        gone = gone[:-1]
    kept, place = [], 0
    for start, end in sorted(gone):
        kept.append(text[place:start])
        place = end + 1 if text[end : end + 1] == " " else end
    return "".join([*kept, text[place:]]) if gone else text


def casing(text: str, strength: float, seed: int, *, to: str = "random") -> str:
    """In capitals, in small letters, or a share of the letters in the other case; letters of options stay.

    Args:
        text: it.
        strength: of `random`: the share of the letters.
        seed: decides which.
        to: `random`, `upper` or `lower`.
    """
    spans = words(text)
    places = [place for start, end in spans for place in range(start, end) if _has_cases(text[place])]
    if not places:
        return text
    letters = list(text)
    for place in some(places, strength, Random(seed)) if to == "random" else places:
        letter = letters[place]
        letters[place] = {"upper": letter.upper(), "lower": letter.lower()}.get(to, letter.swapcase())
    return "".join(letters)


def _has_cases(letter: str) -> bool:
    """Not of ß and the like, which become two letters."""
    return len(letter.upper()) == len(letter.lower()) == 1 and letter.upper() != letter.lower()


def whitespace(text: str, strength: float, seed: int) -> str:
    """With a share of the spaces within lines lost, doubled, or made tabs or line ends."""
    spans = gaps(text)
    if not spans:
        return text
    changed, place = [], 0
    for start, end in sorted(some(spans, strength, Random(seed))):
        others = [gap for gap in _GAPS if gap != text[start:end]]
        changed += [text[place:start], Random(f"{seed}/{start}").choice(others)]
        place = end
    return "".join([*changed, text[place:]])


@cache
def sentences() -> tuple[str, ...]:
    """The sentences shipped with the package."""
    lines = (files("pytest_llmbench") / "data" / "distractors.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def distractors(text: str, count: float, seed: int, *, where: str = "either", of: Sequence[str] | None = None) -> str:
    """With sentences before or behind it that have nothing to do with it.

    Args:
        text: it, which stays whole.
        count: how many.
        seed: decides which, and on which side.
        where: `before`, `after`, or `either`: each by chance.
        of: sentences to take; None: those shipped.
    """
    chance = Random(seed)
    known = sentences() if of is None else of
    told = chance.sample(known, min(int(count), len(known)))
    sides = [where if where != "either" else chance.choice(("before", "after")) for _ in told]
    before, after = ([one for one, side in zip(told, sides, strict=True) if side == at] for at in ("before", "after"))
    parts = (" ".join(before), text, " ".join(after))
    return "\n\n".join(part for part in parts if part)
