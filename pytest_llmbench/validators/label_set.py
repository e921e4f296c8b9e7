"""Several labels at once: a reply's labels against the expected ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.json_reply import reply_json
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material
from pytest_llmbench.validators.plain import texts_of
from pytest_llmbench.validators.reply_text import folded, one_form, without_emphasis
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, rated, unscored

_LIST_MARK = re.compile(r"[ \t]*(?:[-*•]+|\d{1,3}[.)])[ \t]+")
_NO_LABELS = frozenset({"none", "no labels", "no label"})
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Labels:
    """A closed set of labels, of which a reply names some."""

    known: tuple[str, ...]

    def score(self, material: Material) -> Score:
        """F1 of the labels: 1 where the reply has all of the expected ones and no other; then it passes."""
        if material.expected is None:
            return unscored(NOTHING_EXPECTED)
        wanted = {folded(label) for label in labels_of(material.expected)}
        if not material.answer:
            return rated(0.0, passed=False, reason="the reply is empty")
        given = {folded(label) for label in labels_in(material.answer)}
        if given <= _NO_LABELS.difference(map(folded, self.known)):
            given = set()
        hits = len(given & wanted)
        value = 2 * hits / (len(given) + len(wanted)) if given or wanted else 1.0
        missing, extra = sorted(wanted - given), sorted(given - wanted)
        unknown = sorted(given - set(map(folded, self.known)))
        told = [f"missing {', '.join(missing)}"] * bool(missing) + [f"too many: {', '.join(extra)[:200]}"] * bool(extra)
        return rated(
            value,
            not told,
            "; ".join(told) or "the expected labels",
            missing=missing,
            extra=extra[:50],
            unknown=unknown[:50],
        )

    def defects(self, material: Material) -> list[str]:
        """Expected labels that are not among those there are."""
        if material.expected is None:
            return [NOTHING_EXPECTED]
        known = set(map(folded, self.known))
        return [
            f"the expected label {label!r} is not one of {', '.join(self.known)}"
            for label in labels_of(material.expected)
            if folded(label) not in known
        ]


def labels_of(expected: Any) -> Sequence[str]:
    """The labels that are expected: a list, or texts between commas."""
    if isinstance(expected, list):
        return [str(label) for label in expected]
    return labels_in(str(expected))


def labels_in(text: str) -> Sequence[str]:
    """The labels that a text is: a JSON list, or texts between commas, semicolons or line ends."""
    try:
        value = reply_json(text)
    except ValueError:
        value = None
    if isinstance(value, list):
        return [str(label) for label in value]
    plain = one_form(without_emphasis(text[:_LONGEST])).replace(";", "\n").replace(",", "\n")
    return [label for line in plain.splitlines() if (label := _LIST_MARK.sub("", line, count=1).strip(" \t.-*•"))]


def _labels(argument: Any, where: Where) -> Scorer:
    labels = texts_of(argument, where)
    if not labels:
        raise where.error("needs the labels there are", hint="labels: [bug, question, praise]")
    return Labels(labels)


TABLE = (
    Validator(
        "labels",
        "the expected ones of these labels and no other; its value is their F1",
        _labels,
        ["bug", "question", "praise"],
        measure="value",
        settles=True,
    ),
)
