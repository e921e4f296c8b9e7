"""Every configuration against every other: what differs surely, corrected over all that is compared.

Speed is the difficult part. The repetitions of one server are no independent measurements of it: a machine has moods
that last longer than a profile. So a difference of speed is called only where chance does not explain it (Student's t
of the paired logarithms, after Holm's correction) *and* it is larger than what two measurements of one and the same
thing differ by on this machine *and* the server's CPU time says the same where it can (docs/explanation/
recommendations.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from pytest_llmbench.profiles.quality_answers import Answer, answers
from pytest_llmbench.records import Measurement
from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.criteria import ACCURACY, TESTED, Criterion, Values, load_of, paired
from pytest_llmbench.results.machine_mood import CPU, Mood, contradicted, mood, unlike
from pytest_llmbench.results.recommendations import BETTER, NOT_COMPARED, TIE, WORSE
from pytest_llmbench.results.worsening import CPU_UNKNOWN, WALL_UNKNOWN, NoiseFloor
from pytest_llmbench.stats.corrections import holm
from pytest_llmbench.stats.intervals import finite
from pytest_llmbench.stats.log_ratios import log_ratio
from pytest_llmbench.stats.paired import mcnemar_exact

ALPHA = 0.05
"""How often anything at all is called different where nothing is."""
_TURNED = {WORSE: BETTER, BETTER: WORSE}


@dataclass(frozen=True, slots=True)
class Duel:
    """One configuration (`other`) beside another (`one`) by one criterion."""

    criterion: Criterion
    one: str
    other: str
    part: str
    """A category of questions; empty: all of them."""
    before: tuple[float, ...]
    """Of `one`; paired with `after`."""
    after: tuple[float, ...]
    change: float
    """other − one of rates, ln(other / one) of ratios."""
    p_value: float
    """Two-sided; NaN: no test was made."""
    p_corrected: float = math.nan
    least: float = 0.0
    """The share below which a difference of speed is none."""
    why: str = ""
    """Why it is not compared, or why a difference is not called one that chance does not explain."""
    is_refused: bool = False
    """Whether it is not compared at all."""

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.after)

    @property
    def verdict(self) -> str:
        """Of `other`."""
        if self.is_refused:
            return NOT_COMPARED
        is_sure = not math.isnan(self.p_corrected) and self.p_corrected < ALPHA
        if not is_sure or self.why or abs(self.change) <= math.log1p(self.least):
            return TIE
        return BETTER if (self.change > 0) == self.criterion.higher_is_better else WORSE

    def turned(self) -> Duel:
        """The same with `one` beside `other`."""
        return replace(self, one=self.other, other=self.one, before=self.after, after=self.before, change=-self.change)


@dataclass(frozen=True, slots=True)
class _Side:
    """What is read once of a measurement, however many it is compared with."""

    configuration: str
    model: str
    load: Mapping[str, Any]
    values: Mapping[str, Values]
    """Metric → the values that it is compared by."""
    mood: Mood
    answers: Mapping[str, Answer]
    """To questions; empty where it was asked none."""


_Key = tuple[str, str]
"""Metric, and category of questions."""
Pairs = Sequence[tuple[float, float]]


class Duels:
    """All duels of some candidates.

    Args:
        all_of: the candidates.
        noise_floor: by how much measurements of the same thing differ on this machine, see `NoiseFloor`.
    """

    def __init__(self, all_of: Sequence[Candidate], noise_floor: NoiseFloor) -> None:
        self._floor = noise_floor
        self._floors: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        sides = [{name: _side(each.configuration, m) for name, m in each.measurements.items()} for each in all_of]
        together = combinations(zip(all_of, sides, strict=True), 2)
        held = [duel for one, other in together for duel in self._between(one, other)]
        self._held: dict[tuple[str, str], dict[_Key, tuple[Duel, float]]] = {}
        for duel, corrected in zip(held, holm([each.p_value for each in held]), strict=True):
            mine = self._held.setdefault((duel.one, duel.other), {})
            mine[duel.criterion.metric, duel.part] = duel, corrected
        self._told: dict[tuple[str, str, _Key], Duel | None] = {}
        self.tested = sum(not math.isnan(each.p_value) for each in held)
        """Over how many p-values are corrected."""

    def between(self, one: str, other: str, criterion: Criterion, part: str = "") -> Duel | None:
        """`other` beside `one`; None: one of them has nothing measured by it."""
        return self._duel(one, other, (criterion.metric, part))

    def parts(self, one: str, other: str) -> list[Duel]:
        """`other` beside `one` in each category of questions; only of two quantizations of a model."""
        return [duel for duel in self.of(one, other) if duel.criterion is ACCURACY and duel.part]

    def of(self, one: str, other: str) -> list[Duel]:
        """`other` beside `one` by everything."""
        keys = self._held.get((one, other)) or self._held.get((other, one)) or {}
        return [duel for key in keys if (duel := self._duel(one, other, key)) is not None]

    def is_worse(self, one: str, other: str, criterion: Criterion) -> bool:
        """Whether `other` is surely worse than `one`."""
        found = self.between(one, other, criterion)
        return found is not None and found.verdict == WORSE

    def _duel(self, one: str, other: str, key: _Key) -> Duel | None:
        """Made when it is asked for: most of so many are never told."""
        place = one, other, key
        if place not in self._told:
            found, turned = self._held.get((one, other), {}).get(key), self._held.get((other, one), {}).get(key)
            told = found or turned
            duel = replace(told[0], p_corrected=told[1]) if told else None
            self._told[place] = duel.turned() if duel and not found else duel
        return self._told[place]

    def _between(
        self, one: tuple[Candidate, Mapping[str, _Side]], other: tuple[Candidate, Mapping[str, _Side]]
    ) -> Iterator[Duel]:
        are_quants = _quants_of_one(one[0], other[0])
        for criterion in TESTED:
            before, after = one[1].get(criterion.profile), other[1].get(criterion.profile)
            if before is None or after is None:
                continue
            found = self._fought(criterion, before, after)
            if found is None:
                continue
            yield found
            if criterion is ACCURACY and not found.is_refused and are_quants:
                yield from _categories(found, before.answers, after.answers)

    def _fought(self, criterion: Criterion, before: _Side, after: _Side) -> Duel | None:
        pairs = paired(before.values[criterion.metric], after.values[criterion.metric])
        if not pairs:
            return None
        least = self._least(criterion.floors, WALL_UNKNOWN, before, after) if criterion.is_speed else 0.0
        found = _tested(criterion, (before.configuration, after.configuration), "", pairs, least)
        refused = "another load was sent" if before.load != after.load else ""
        if refused := refused or (unlike(before.mood, after.mood) if criterion.is_speed else ""):
            return replace(found, p_value=math.nan, least=0.0, why=refused, is_refused=True)
        if not criterion.is_speed:
            return found
        slower = -found.change if criterion.higher_is_better else found.change
        why = contradicted(slower, before.mood, after.mood, self._least((CPU,), CPU_UNKNOWN, before, after))
        return replace(found, why=why) if why else found

    def _least(self, metrics: tuple[str, ...], unknown: float, *sides: _Side) -> float:
        """The largest that is known of both; what holds anywhere where one is not known."""
        known = [self._known(each.model, metrics) for each in sides]
        return max(max(each) for each in known) if all(known) else unknown

    def _known(self, model: str, metrics: tuple[str, ...]) -> list[float]:
        if (model, metrics) not in self._floors:
            self._floors[model, metrics] = finite(self._floor(model, metric) for metric in metrics)
        return self._floors[model, metrics]


def _side(configuration: str, measurement: Measurement) -> _Side:
    mine = [each for each in TESTED if each.profile == measurement.profile]
    return _Side(
        configuration=configuration,
        model=measurement.model,
        load=load_of(measurement),
        values={each.metric: each.values(measurement) for each in mine},
        mood=mood(measurement),
        answers=answers(measurement) if ACCURACY in mine else {},
    )


def _tested(criterion: Criterion, names: tuple[str, str], part: str, pairs: Pairs, least: float = 0.0) -> Duel:
    before, after = zip(*pairs, strict=True)
    of = (criterion, *names, part, before, after)
    if criterion.kind == "rate":
        gained, lost = sum(new > old for old, new in pairs), sum(new < old for old, new in pairs)
        return Duel(*of, (gained - lost) / len(pairs), mcnemar_exact(gained, lost))
    ratio = log_ratio(before, after)
    assert ratio.value is not None
    return Duel(*of, math.log(ratio.value), ratio.p_value, least=least)


def _quants_of_one(one: Candidate, other: Candidate) -> bool:
    return one.family == other.family and one.quant != other.quant


def _categories(found: Duel, mine: Mapping[str, Answer], theirs: Mapping[str, Answer]) -> Iterator[Duel]:
    both = [(mine[item], theirs[item]) for item in mine if item in theirs]
    scored = [pair for pair in both if pair[0].correct is not None and pair[1].correct is not None]
    for name in dict.fromkeys(each.category for each in mine.values()):
        pairs = [(float(bool(a.correct)), float(bool(b.correct))) for a, b in scored if a.category == name]
        if pairs:
            yield _tested(found.criterion, (found.one, found.other), name, pairs)
