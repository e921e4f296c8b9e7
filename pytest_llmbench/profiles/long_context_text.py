"""Prompts of an exact number of tokens with a fact hidden in them, and whether a reply tells that fact."""

from __future__ import annotations

import random
import secrets
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles import long_context_prose
from pytest_llmbench.validators import check

CHARACTERS_A_TOKEN = 4.3
"""Of the chronicle, by the tokenizers of SmolLM2 (4.3) and Gemma 3 (4.4): where a server cannot count, and until it has
told how many tokens a prompt had."""

_SUBJECTS = (
    "the northern archive",
    "the glass greenhouse",
    "the bell foundry",
    "the harbour office",
    "the silver cupboard",
    "the ferry station",
    "the map room",
    "the winter stable",
)
_FILLERS = (" and", " so", " it", " is", " on", " at", " a", ",", " I")
"""Short words, a token each in most vocabularies, for the last few tokens of an exact count."""
DECOYS = 3
_TRIED = 4
"""Numbers of words from which fillers may reach the exact count."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is hidden, and asked for at the end."""

    subject: str
    number: int
    """Of five digits: no other number of the text has as many."""

    @property
    def sentence(self) -> str:
        return f"The access number of {self.subject} is {self.number}."

    @property
    def question(self) -> str:
        return f"What is the access number of {self.subject}? Answer with the number alone."

    def is_told_by(self, answer: str, *, cut_off: bool = False) -> bool:
        """Whether the answer is the number: the whole one, and no other beside it (`validators`, check `number`).

        Args:
            answer: the whole of what the model said.
            cut_off: it was stopped by its limit; then digits at its very end may not be all of their number.
        """
        if cut_off and answer[-1:].isdigit():
            return False
        return check("number", answer, str(self.number)).correct


Counting = Callable[[str], int]
"""How many tokens the server makes of a user message, everything that its template adds included."""


@dataclass(slots=True)
class Estimate:
    """Counts for a server that cannot count for us, by what it told of the prompts before."""

    characters_a_token: float = CHARACTERS_A_TOKEN

    def __call__(self, text: str) -> int:
        return round(len(text) / self.characters_a_token)

    def learn(self, text: str, tokens: int) -> None:
        """The server told how many tokens a text had."""
        self.characters_a_token = len(text) / tokens


@dataclass(frozen=True, slots=True)
class Riddle:
    """A fact to be found, and others of its kind that it must not be taken for."""

    fact: Fact
    decoys: tuple[Fact, ...] = ()

    def placed(self, depth: float) -> list[tuple[float, Fact]]:
        """Each with its depth, in order; the decoys are spread evenly."""
        n = len(self.decoys)
        return sorted(
            [(depth, self.fact), *(((i + 0.5) / n, decoy) for i, decoy in enumerate(self.decoys))], key=_depth
        )


def riddle_for(seed: int, index: int) -> Riddle:
    """What is hidden in the request of this index; the same on a resume."""
    chance = random.Random(f"riddle {seed} {index}")
    subjects = chance.sample(_SUBJECTS, DECOYS + 1)
    numbers = chance.sample(range(10_000, 100_000), DECOYS + 1)
    fact, *decoys = map(Fact, subjects, numbers)
    return Riddle(fact, tuple(decoys))


def build(riddle: Riddle, *, tokens: int, depth: float, seed: int, count: Counting) -> str:
    """A prompt of exactly so many tokens, or the fewer tokens that come nearest where none can be made.

    Its first words are new in every call, so that no cache knows how it begins.

    Args:
        riddle: what it hides.
        tokens: by `count`.
        depth: where the fact stands: 0 before the chronicle, 1 right before the question.
        seed: of the chronicle.
        count: the server's tokenizer, or an estimate.

    Raises:
        UsageError: not even the question fits.
    """
    words, starts = long_context_prose.words(seed, tokens)
    label = secrets.token_hex(4)

    def with_words(kept: int, padding: str = "") -> str:
        return _composed(label, _hidden(words[:kept], starts, riddle.placed(depth), padding), riddle.fact)

    smallest = count(with_words(0))
    if smallest > tokens:
        raise UsageError(
            f"a prompt of {tokens} tokens does not hold the question, which takes {smallest}",
            hint=f"ask for sizes of {2 * smallest} tokens and more",
        )
    most = _most(lambda kept: count(with_words(kept)) <= tokens, below=len(words))
    for kept in range(most, max(most - _TRIED, -1), -1):
        padding, missing = _padding(partial(with_words, kept), tokens, count)
        if not missing:
            return with_words(kept, padding)
    return with_words(most)


def _depth(placed: tuple[float, Fact]) -> float:
    return placed[0]


def _composed(label: str, body: str, fact: Fact) -> str:
    return (
        f"[{label}] Read this chronicle. Somewhere in it stands the access number of {fact.subject}.\n\n"
        f"{body}\n\n{fact.question}"
    )


def _hidden(words: list[str], starts: list[int], placed: list[tuple[float, Fact]], padding: str) -> str:
    """The chronicle with facts between its sentences, each as near to its depth as a sentence ends."""
    kept, told, last = len(words), "", 0
    end = f"{padding}." if padding or kept not in starts else ""
    for depth, fact in placed:
        cut = _sentence_end(starts, depth, kept)
        told += "".join(words[last:cut]) + (end if last < cut == kept else "") + f" {fact.sentence}"
        last = cut
    return (told + "".join(words[last:]) + (end if last < kept else "")).lstrip()


def _sentence_end(starts: list[int], depth: float, kept: int) -> int:
    wanted = depth * kept
    after = bisect_left(starts, wanted)
    near = min(starts[max(0, after - 1) : after + 1], key=lambda start: abs(start - wanted))
    return kept if depth == 1 else min(near, kept)


def _most(fits: Callable[[int], bool], *, below: int) -> int:
    """By bisection, a number that fits while the next does not; 0 fits, `below` does not."""
    low, high = 0, below
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _padding(padded: Callable[[str], str], tokens: int, count: Counting) -> tuple[str, int]:
    """Fillers that leave no token missing, or as few as can be, and how many those are."""
    padding, left = "", tokens - count(padded(""))
    for filler in _FILLERS * 2:
        if left == 0:
            break
        longer = tokens - count(padded(padding + filler))
        if 0 <= longer < left:
            padding, left = padding + filler, longer
    return padding, left
