"""Questions with their expected answers, and sets of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import zip_longest

DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Item:
    """One question."""

    id: str
    """Unique in its set, and the same in every run: results are compared by it."""
    category: str
    difficulty: str
    """One of `DIFFICULTIES`."""
    prompt: str
    """What the model is asked, the form of the answer included; sent as it is."""
    answer: str
    check: str
    """How a reply is scored, see `validators.CHECKS`."""
    options: tuple[str, ...] = ()
    """What there is to choose from; the prompt names them."""
    source: str = ""
    """Where the question comes from."""
    wrong: tuple[str, ...] = ()
    """Replies that must not count as correct."""
    expression: str = ""
    """The sum that gives the answer, for questions of arithmetic."""
    note: str = ""
    """Why the answer is right."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions in their order."""

    name: str
    sha256: str
    """Of the questions' content: equal for equal questions, whatever file they came from."""
    items: tuple[Item, ...]

    @classmethod
    def of(cls, name: str, items: Iterable[Item]) -> QuestionSet:
        """A set of these items, with its hash."""
        kept = tuple(items)
        rows = [{key: value for key, value in asdict(item).items() if key != "source"} for item in kept]
        text = json.dumps(rows, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return cls(name, hashlib.sha256(text.encode("ascii")).hexdigest(), kept)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, in order of appearance."""
        return tuple(dict.fromkeys(item.category for item in self.items))

    def spread(self, count: int) -> QuestionSet:
        """The first `count` questions taken in turn from the categories, and within them from the difficulties.

        Always the same ones; those of a smaller count are among those of a larger one.
        """
        by_category = [_by_difficulty([i for i in self.items if i.category == name]) for name in self.categories]
        chosen = [item for row in zip_longest(*by_category) for item in row if item is not None][:count]
        return self if len(chosen) == len(self.items) else QuestionSet.of(self.name, chosen)


def _by_difficulty(items: list[Item]) -> list[Item]:
    """The items, one of each difficulty in turn."""
    groups = [[item for item in items if item.difficulty == level] for level in DIFFICULTIES]
    return [item for row in zip_longest(*groups) for item in row if item is not None]
