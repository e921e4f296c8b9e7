"""A chronicle of an invented valley, as long as is asked for: varied prose that nobody else wrote.

Real text costs a model what real text costs: one repeated token, or random ones, make tokenizers, mixtures of experts
and speculative decoding behave as they never do at work. Numbers in it have at most four digits.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from pytest_llmbench.config import strict_yaml

SENTENCES_A_PARAGRAPH = 6
_SLOT = re.compile(r"\{(\w+)\}")


def sentences(seed: int) -> Iterator[str]:
    """Sentences without end, none of them twice.

    Args:
        seed: the same seed gives the same sentences.
    """
    chance = random.Random(seed)
    told: set[str] = set()
    while True:
        sentence = _sentence(chance)
        if sentence not in told:
            told.add(sentence)
            yield sentence


def words(seed: int, count: int) -> tuple[list[str], list[int]]:
    """The first words of the chronicle, in paragraphs.

    Args:
        seed: of the chronicle.
        count: at least so many words.

    Returns:
        The words, each with the white space before it (joined they are the text), and the positions at which sentences
        begin; the last one is the number of words.
    """
    found: list[str] = []
    starts = [0]
    for number, sentence in enumerate(sentences(seed)):
        if len(found) >= count:
            break
        first, *others = sentence.split(" ")
        gap = "\n\n" if number and number % SENTENCES_A_PARAGRAPH == 0 else " "
        found += [gap + first, *(f" {word}" for word in others)]
        starts.append(len(found))
    return found, starts


@functools.cache
def _chronicle() -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    """Patterns of sentences, and the phrases that fill them."""
    text = resources.files("pytest_llmbench").joinpath("data", "chronicle.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = strict_yaml.parse(text, "chronicle.yaml").data
    return data["sentences"], data["phrases"]


def _sentence(chance: random.Random) -> str:
    patterns, phrases = _chronicle()
    used: set[str] = set()

    def fill(slot: re.Match[str]) -> str:
        if slot[1] == "few":
            return str(chance.randint(3, 98))
        if slot[1] == "year":
            return str(chance.randint(1702, 1948))
        choice = chance.choice([phrase for phrase in phrases[slot[1]] if phrase not in used])
        used.add(choice)
        return choice

    sentence = _SLOT.sub(fill, chance.choice(patterns))
    return sentence[0].upper() + sentence[1:]
