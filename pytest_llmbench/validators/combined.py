"""Validators put together: `any`, `all`, `weighted`.

Three answers, not two: a part that nobody could score decides nothing, and where the others do not decide without it,
the whole is as unscored as that part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.declared import Declared, declared_list
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, keys_of


@dataclass(frozen=True, slots=True)
class AnyAll:
    """Passes where one part does (`any`), or every part (`all`)."""

    parts: tuple[Declared, ...]
    every: bool

    def score(self, material: Material) -> Score:
        """By the parts that decide it; its value is the best (any) or the worst (all) of theirs."""
        scores = [part.score(material) for part in self.parts]
        deciding = [score for score in scores if score.passed is (not self.every)]
        unknown = [score for score in scores if score.passed is None]
        if not deciding and unknown:
            return _undecided(scores, unknown)
        passed = bool(deciding) is not self.every
        values = [score.value or 0.0 for score in scores if score.state == "scored"]
        return Score(
            "",
            value=min(values) if self.every else max(values),
            passed=passed,
            reason=_told(deciding or scores),
            executed=any(score.executed for score in deciding or scores),
            parts=tuple(scores),
        )

    def defects(self, material: Material) -> list[str]:
        """Those of its parts."""
        return _of_parts(self.parts, material)


@dataclass(frozen=True, slots=True)
class Weighted:
    """The mean of its parts by their weights; parts that fail count as their value."""

    parts: tuple[Declared, ...]

    def score(self, material: Material) -> Score:
        """A mean without a part that counts would be of something else: then nobody can tell."""
        scores = [part.score(material) for part in self.parts]
        if unknown := [score for score in scores if score.state != "scored" and score.weight]:
            return _undecided(scores, unknown)
        total = sum(score.weight for score in scores)
        value = sum((score.value or 0.0) * score.weight for score in scores if score.weight) / total
        return Score(
            "",
            value=min(1.0, value),
            reason=", ".join(f"{score.name} {score.value or 0:.2g}" for score in scores if score.weight),
            executed=any(score.executed for score in scores),
            parts=tuple(scores),
        )

    def defects(self, material: Material) -> list[str]:
        """Those of its parts."""
        return _of_parts(self.parts, material)


def _any_all(*, every: bool) -> Any:
    def parse(argument: Any, where: Where) -> Scorer:
        parts = declared_list(argument, where)
        for place, part in enumerate(parts):
            if not part.settles:
                raise where.at(place).error(
                    f"{part.name!r} only measures; to pass or fail it needs a limit, such as at_least"
                )
        return AnyAll(parts, every)

    return parse


def _weighted(argument: Any, where: Where) -> Scorer:
    keys = keys_of(argument, where, {"of": list})
    if "of" not in keys:
        raise where.error("needs the validators to weigh", hint="weighted: {of: [exact, ...], at_least: 0.7}")
    parts = declared_list(keys["of"], where.at("of"))
    if not sum(part.weight for part in parts):
        raise where.at("of").error("all weights are 0")
    return Weighted(parts)


def _undecided(scores: Sequence[Score], unknown: Sequence[Score]) -> Score:
    worst = next((score for score in unknown if score.state == "error"), unknown[0])
    state = "unscored" if worst.state == "scored" else worst.state
    return Score("", state=state, reason=_told([worst]), parts=tuple(scores))


def _told(scores: Sequence[Score]) -> str:
    return "; ".join(f"{score.name}: {score.reason}" for score in scores)


def _of_parts(parts: Sequence[Declared], material: Material) -> list[str]:
    return [f"{part.name}: {defect}" for part in parts for defect in part.defects(material)]


TABLE = (
    Validator("any", "one of these validators passes", _any_all(every=False), ["exact", {"contains": "refund"}]),
    Validator("all", "all of these validators pass", _any_all(every=True), ["json", {"not-contains": "sorry"}]),
    Validator(
        "weighted",
        "the mean of these validators by their weights",
        _weighted,
        {"of": [{"exact": None, "weight": 3}, {"contains": "refund"}], "at_least": 0.7},
        measure="value",
    ),
)
