"""Validators of plain text: equal, contains, begins, ends. Space around a reply and its reasoning do not count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.reply_text import composed
from pytest_llmbench.validators.scorer import Parse, Validator, Where, unscored, verdict
from pytest_llmbench.validators.verdict import shortened

_EMPTY = "the expected answer has an empty text: an empty reply would be right, or every reply"
Holds = Callable[[str, str], bool]
"""Whether a reply has what is wanted of it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Holds a reply against texts: those of the argument, else the expected answer."""

    holds: Holds
    every: bool
    """All of the texts must hold; else one is enough."""
    folded: bool
    given: tuple[str, ...]
    says: tuple[str, str]
    """Completes `the reply … 'refund'`, for one that has it and one that does not."""

    def score(self, material: Material) -> Score:
        """Whether the reply has the texts that are wanted."""
        wanted = self._wanted(material)
        if not wanted:
            return unscored(NOTHING_EXPECTED)
        if not all(map(self._form, wanted)):
            return unscored(_EMPTY)
        reply = self._form(material.answer)
        missed = [text for text in wanted if not self.holds(reply, self._form(text))]
        passed = not missed if self.every else len(missed) < len(wanted)
        named = (wanted if self.every else [text for text in wanted if text not in missed]) if passed else missed
        told = (" and " if self.every else " or ").join(repr(shortened(text)) for text in named[:5])
        return verdict(passed, f"the reply {self.says[not passed]} {told}")

    def defects(self, material: Material) -> list[str]:
        """Nothing to compare with, or an empty text, which everything contains."""
        wanted = self._wanted(material)
        if not wanted:
            return [NOTHING_EXPECTED]
        if not self.given and isinstance(material.expected, dict):
            return ["the expected answer has fields and is no text: say which one is meant (field: ...)"]
        return [] if all(map(self._form, wanted)) else [_EMPTY]

    def _wanted(self, material: Material) -> Sequence[str]:
        if self.given or material.expected is None:
            return self.given
        expected = material.expected
        return [as_text(one) for one in expected] if isinstance(expected, list) else [as_text(expected)]

    def _form(self, text: str) -> str:
        text = composed(text).strip()
        return text.casefold() if self.folded else text


def texts_of(argument: Any, where: Where) -> tuple[str, ...]:
    """The texts of an argument: one, or a list; none where there is no argument.

    Raises:
        ConfigError: it is something else, or empty.
    """
    if argument is None:
        return ()
    texts = argument if isinstance(argument, list) else [argument]
    if not texts:
        raise where.error("must not be empty")
    for place, text in enumerate(texts):
        here = where.at(place) if isinstance(argument, list) else where
        if not isinstance(text, str):
            raise here.error("must be text; quote it")
        if not text.strip():
            raise here.error("must not be empty")
    return tuple(texts)


def _texts(holds: Holds, says: tuple[str, str], *, every: bool = False, folded: bool = False) -> Parse:
    return lambda argument, where: Texts(holds, every, folded, texts_of(argument, where), says)


def _has(reply: str, text: str) -> bool:
    return text in reply


_IS = ("is", "is not")
_HAS = ("contains", "does not contain")

TABLE = (
    Validator(
        "exact", "the whole reply, letter by letter; one of a list", _texts(str.__eq__, _IS), "yes", demands_truth=True
    ),
    Validator("iexact", "as `exact`, in any case", _texts(str.__eq__, _IS, folded=True), "yes", demands_truth=True),
    Validator(
        "contains", "all of these texts", _texts(_has, _HAS, every=True), ["refund", "14 days"], opposite="contains-any"
    ),
    Validator("contains-any", "one of these texts", _texts(_has, _HAS), ["refund", "money back"]),
    Validator(
        "icontains",
        "all of these texts, in any case",
        _texts(_has, _HAS, every=True, folded=True),
        "refund",
        opposite="icontains-any",
    ),
    Validator("icontains-any", "one of these texts, in any case", _texts(_has, _HAS, folded=True), ["sorry", "unable"]),
    Validator(
        "starts-with",
        "begins with this text, or one of these",
        _texts(str.startswith, ("begins with", "does not begin with")),
        "Dear",
    ),
    Validator(
        "ends-with",
        "ends with this text, or one of these",
        _texts(str.endswith, ("ends with", "does not end with")),
        ".",
    ),
)
