"""The table of corruptions, by the names that use cases call them; own functions are registered into it.

@corruption("shouting")
def shouting(text, strength, seed):
    return text.upper()
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from pytest_llmbench.corruption import json_flaws, plain, typos
from pytest_llmbench.errors import UsageError

Change = Callable[..., str]
"""Of a text, the strength and a seed: the damaged text, the same every time."""
Own = TypeVar("Own", bound=Change)
Counts = Literal["share", "count", ""]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_MOST = 50
"""Flaws or sentences."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table."""

    name: str
    about: str
    """What is changed, for the documentation."""
    change: Change | None = None
    """None: it needs more of a sample than a text."""
    counts: Counts = ""
    """What its strength is: a share (`NAME-10` is 0.1), how many, or nothing."""
    strength: float = 1.0
    """Where none is said."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Key → the words that it may have; the first one where none is said."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Key → what its text means: a column, or a file."""
    is_own: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """What may stand in its mapping."""
        strength = {"share": ("strength",), "count": ("count",), "": ()}[self.counts]
        return (*strength, *self.choices, *self.texts)

    def may_be(self, strength: float) -> bool:
        """Whether there is such a strength."""
        if self.counts == "count":
            return 1 <= strength <= _MOST and strength == int(strength)
        return 0 < strength <= 1

    @property
    def allowed(self) -> str:
        """Completes the sentence "its strength must be …"."""
        return f"a whole number from 1 to {_MOST}" if self.counts == "count" else "above 0 and at most 1 (100 %)"


REORDERED, PARAPHRASE, DISTRACTORS = "reordered-choices", "paraphrase", "distractors"

_TABLE = (
    Kind(
        "typos",
        "a slip of the keyboard (a neighbouring key, two letters swapped, one lost, one doubled) in this share of the "
        "words of two letters or more, or at this share of their letters; numbers stay",
        typos.typos,
        "share",
        0.1,
        {"of": ("words", "characters")},
    ),
    Kind(
        "missing-words",
        "this share of the words is left out; what holds a digit, and the letter of an option, stays",
        plain.missing_words,
        "share",
        0.1,
    ),
    Kind(
        "casing",
        "this share of the letters in the other case, or all in capitals or small letters",
        plain.casing,
        "share",
        0.5,
        {"to": ("random", "upper", "lower")},
    ),
    Kind(
        "whitespace",
        "this share of the spaces within lines is lost, doubled, or made a tab or a line's end",
        plain.whitespace,
        "share",
        0.2,
    ),
    Kind(
        "malformed-json",
        "so many flaws in the first JSON object or list that the input is or holds, which no parser takes then: a "
        "comma too few or too many, a quote or a bracket lost, single quotes, = for a colon",
        json_flaws.malformed_json,
        "count",
        1,
    ),
    Kind(
        REORDERED,
        "every option of a multiple choice at another place; the expected letter follows its option",
        texts={"column": "the column with the list of options; `options` or `choices` where not said"},
    ),
    Kind(
        DISTRACTORS,
        "so many sentences before or behind the input that have nothing to do with it",
        plain.distractors,
        "count",
        1,
        {"where": ("either", "before", "after")},
        {"file": "a text of the use case's folder with sentences to take, one a line; those shipped where not said"},
    ),
    Kind(
        PARAPHRASE,
        "the input in other words, which were written before and stay the same; no model makes them at run time",
        texts={
            "column": "the samples' column with them; `paraphrase` where not said",
            "file": "a JSON or YAML file of the use case's folder: {id: text}",
        },
    ),
)


class _Table(Mapping[str, Kind]):
    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, kind: Kind) -> None:
        """Put one more into the table; a module that is imported once more puts its own in place of it.

        Raises:
            UsageError: one of ours has this name, or no corruption can have it.
        """
        known = self._kinds.get(kind.name)
        if not _NAME.fullmatch(kind.name) or kind.name == NONE:
            raise UsageError(f"{kind.name!r} cannot be a corruption's name", hint="small letters, digits and '-'")
        if known is not None and not _is_same(known, kind):
            raise UsageError(f"there is a corruption {kind.name!r} already", hint="take another name")
        self._kinds[kind.name] = kind


NONE = "none"
"""On the command line: no input is damaged."""


def _is_same(known: Kind, kind: Kind) -> bool:
    def place(one: Kind) -> tuple[object, object]:
        return getattr(one.change, "__module__", None), getattr(one.change, "__qualname__", None)

    return known.is_own and place(known) == place(kind)


CORRUPTIONS = _Table(_TABLE)


def corruption(name: str, *, strength: float = 0.1, about: str = "") -> Callable[[Own], Own]:
    """Register a function `(text, strength, seed)` that gives a damaged text, the same one every time.

    Args:
        name: as use cases call it; `NAME-20` has strength 0.2.
        strength: where none is said; above 0 and at most 1.
        about: what it changes; the first line of its docstring where not given.

    Raises:
        UsageError: there is a corruption of that name, or no such name or strength can be.
    """

    def put(own: Own) -> Own:
        told = about or (inspect.getdoc(own) or name).partition("\n")[0]
        kind = Kind(name, told, own, "share", strength, is_own=True)
        if not kind.may_be(strength):
            raise UsageError(f"the corruption {name!r} has the strength {strength!r}", hint=f"it is {kind.allowed}")
        CORRUPTIONS.add(kind)
        return own

    return put
