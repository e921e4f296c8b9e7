"""Judges at work in the use cases of a run: whether they count, what they said, and how far panels agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal

from pytest_llmbench.judges.kinship import warnings_for
from pytest_llmbench.records import Run, Score
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.held_judges import Calibrated, Counted
from pytest_llmbench.results.judging import calibrated
from pytest_llmbench.results.robustness import is_clean
from pytest_llmbench.results.stand_ins import Doubtful, StandIn, doubtful, models_of, seat_of, stand_ins
from pytest_llmbench.results.tried_judges import TriedJudge, tried
from pytest_llmbench.stats import Estimate, share_estimate
from pytest_llmbench.stats.agreement import krippendorff
from pytest_llmbench.stats.corrected import corrected_rate
from pytest_llmbench.stats.votes import EffectiveVotes, effective_votes_without_truth

Standing = Literal["calibrated", "advisory", "bound"]


@dataclass(frozen=True, slots=True)
class UsedJudge:
    """One judge of one model's replies on a use case, or a member of a panel."""

    use_case: str
    page: str
    model: str
    """Whose replies it judged."""
    judge: str
    rubric: str
    standing: Standing
    """`calibrated`: a calibration shows that it counts. `advisory`: it fails nothing. `bound`: it counts since the use
    case says so, though no calibration does."""
    why: str
    """Why a calibration does not make it count; empty: it does."""
    passed: int
    failed: int
    unusable: int
    """Replies on which it said nothing that can be used."""
    retried: int
    """Replies that it was asked of once more, since its first answer could not be used."""
    pass_rate: Estimate | None
    corrected: Estimate | None
    """The rate that is behind what it said, by how often it errs (Rogan and Gladen's); None: nobody knows that."""
    is_unlike: bool
    """Whether one that errs so could hardly have said this of any replies: these are of another kind than the labelled
    ones, and there is no corrected rate."""
    warnings: tuple[str, ...]
    """Of a single judge that is related to whom it judges; those about members of a panel are the panel's."""
    models: tuple[str, ...] = ()
    """Of a route, all that may judge; empty: it is a model."""
    stand_ins: tuple[StandIn, ...] = ()
    """Of a route, who judged in place of the model that was asked first."""
    doubtful: tuple[Doubtful, ...] = ()
    """Of a route, whose verdicts count in spite of a doubt."""


@dataclass(frozen=True, slots=True)
class UsedPanel:
    """Several judges of one model's replies on a use case."""

    use_case: str
    page: str
    model: str
    judges: tuple[str, ...]
    n: int
    """Replies on which two or more had a say."""
    split: Estimate | None
    """On how many of those they were not of one mind."""
    alpha: Estimate | None
    """Krippendorff's."""
    votes: EffectiveVotes | None
    """How many independent votes they are worth, at most; None: not to be told without labels."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judging:
    """The judges of a run."""

    calibrated: tuple[Calibrated, ...] = ()
    used: tuple[UsedJudge, ...] = ()
    panels: tuple[UsedPanel, ...] = ()
    tried: tuple[TriedJudge, ...] = ()
    """By planted replies, beside the samples of use cases."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody judged."""
        return not (self.calibrated or self.used or self.tried)


def judging(run: Run) -> Judging:
    """The judges of a run; empty where nobody judged."""
    known = (result.evaluation for result in run.results if result.evaluation is not None)
    if not any(found.labelled or any(score.judged for score in found.scores) for found in known):
        return Judging()
    groups: dict[tuple[str, str, str, str], list[Asked]] = {}
    for asked in (each for case in by_case(run.results) for each in case):
        if asked.found.labelled is None and is_clean(asked):
            key = asked.found.use_case, asked.found.page, asked.model, asked.found.prompt
            groups.setdefault(key, []).append(asked)
    said = {key: _verdicts(asked) for key, asked in groups.items()}
    used = [judge for key, rows in said.items() for judge in _used(key[:3], rows)]
    panels = [_panel(key[:3], rows) for key, rows in said.items() if any(len(row) > 1 for row in rows)]
    return Judging(calibrated(run), tuple(used), tuple(panels), tried(run))


def _verdicts(asked: Iterable[Asked]) -> list[Mapping[str, Score]]:
    """Of each reply what each judge said, of the deciding trial; replies that nobody judged left out.

    In one order, however the tests were spread over processes: intervals are drawn from the rows as they stand.
    """
    ordered = sorted(asked, key=lambda each: each.found.sample)
    found = ({seat_of(score): score for score in _of_judges(each.found.scores)} for each in ordered)
    return [row for row in found if row]


def _of_judges(scores: Iterable[Score]) -> Iterable[Score]:
    for score in scores:
        if score.judged and "judge" in score.details:
            yield score
        elif score.judged:
            yield from _of_judges(score.parts)


def _used(about: tuple[str, str, str], rows: Sequence[Mapping[str, Score]]) -> list[UsedJudge]:
    names = dict.fromkeys(name for row in rows for name in row)
    said = [_judge(about, name, [row[name] for row in rows if name in row]) for name in names]
    return said if len(said) > 1 else [replace(one, warnings=_kin(one)) for one in said]


def _kin(judge: UsedJudge) -> tuple[str, ...]:
    return tuple(warning for name in judge.models or (judge.judge,) for warning in warnings_for([name], [judge.model]))


def _judge(about: tuple[str, str, str], name: str, scores: Sequence[Score]) -> UsedJudge:
    told = [score.passed for score in scores if score.passed is not None]
    details = scores[0].details
    why = str(details.get("not_calibrated", ""))
    is_one = len({score.details["judge"] for score in scores}) == 1
    corrected = _corrected(told, details.get("calibration")) if is_one else None
    is_unlike = corrected is not None and corrected.low == corrected.high
    return UsedJudge(
        *about,
        judge=name,
        rubric=str(details.get("rubric", "")),
        standing="advisory" if scores[0].advisory else "bound" if why else "calibrated",
        why=why,
        passed=told.count(True),
        failed=told.count(False),
        unusable=len(scores) - len(told),
        retried=sum(bool(score.details.get("retried")) for score in scores),
        pass_rate=share_estimate(told, [1.0] * len(told)),
        corrected=None if is_unlike else corrected,
        is_unlike=is_unlike,
        warnings=(),
        models=models_of(scores[0]),
        stand_ins=stand_ins(scores),
        doubtful=doubtful(scores),
    )


def _corrected(told: Sequence[bool], known: Any) -> Estimate | None:
    """What is left of a stored calibration is read with care: a database may hold anything."""
    if not isinstance(known, Mapping):
        return None
    sensitivity, specificity = (_counted(known.get(key)) for key in ("sensitivity", "specificity"))
    if sensitivity is None or specificity is None:
        return None
    return corrected_rate(told.count(True), len(told), sensitivity, specificity)


def _counted(value: Any) -> Counted | None:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(each) is int for each in value):
        return None
    right, of = value
    return (right, of) if 0 <= right <= of else None


def _panel(about: tuple[str, str, str], rows: Sequence[Mapping[str, Score]]) -> UsedPanel:
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    verdicts = [[row[name].passed if name in row else None for name in names] for row in rows]
    heard = [[each for each in row if each is not None] for row in verdicts]
    several = [row for row in heard if len(row) > 1]
    return UsedPanel(
        *about,
        judges=names,
        n=len(several),
        split=share_estimate([len(set(row)) > 1 for row in several], [1.0] * len(several)),
        alpha=krippendorff(verdicts),
        votes=effective_votes_without_truth(verdicts),
        warnings=tuple(_related(rows, names, about[2])),
    )


def _related(rows: Sequence[Mapping[str, Score]], names: Sequence[str], model: str) -> Iterator[str]:
    """Who of a panel is related to whom, whichever of its models a route may ask; those of one route share a vote."""
    said = {name: next(row[name] for row in rows if name in row) for name in names}
    seats = [models_of(said[name]) or (name,) for name in names]
    for seat in seats:
        for judge in seat:
            yield from warnings_for([judge], [model])
    for one, other in combinations(seats, 2):
        for pair in product(one, other):
            yield from warnings_for(pair, [])
