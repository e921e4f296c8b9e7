"""Judges as instruments: how far each agrees with people, where it leans, and what several are worth together.

All is computed from stored evaluations; nothing is asked. Errors of a judge are counted reply by reply: 1 where it
passed what people failed, −1 where it failed what people passed, else 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pytest_llmbench.judges.kinship import family, warnings_for
from pytest_llmbench.judges.standing import shortfall
from pytest_llmbench.records import JudgeCalibration, Labelled, Run
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.held_judges import Calibrated, Counted, HeldJudge, JudgePair, Together
from pytest_llmbench.results.judge_sentences import sentence_of
from pytest_llmbench.results.tried_judges import ANSWERED, obeyed
from pytest_llmbench.stats import Estimate, share_estimate
from pytest_llmbench.stats.agreement import cohen, constant_baseline, fleiss, krippendorff, observed_agreement
from pytest_llmbench.stats.bias import group_bias, length_bias, longer_preferred, position_bias
from pytest_llmbench.stats.votes import effective_votes

_WORTH = {"pass": 1.0, "fail": 0.0}
_ORDERS = ("ab", "ba")
_PANEL = 3
"""Judges from which Fleiss' kappa says more than Cohen's."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One label with what one judge said of it."""

    sample: str
    judge: str
    found: Labelled


def calibrated(run: Run) -> tuple[Calibrated, ...]:
    """What the calibrations of a run show, file by file and rubric by rubric."""
    groups: dict[tuple[str, str], list[_Row]] = {}
    for asked in (each for case in by_case(run.results) for each in case):
        if (found := asked.found.labelled) is not None and _was_asked(asked):
            key = asked.found.page, found.rubric_hash
            groups.setdefault(key, []).append(_Row(asked.found.sample, asked.model, found))
    # In one order, however the tests were spread over processes: intervals are drawn from the rows as they stand.
    return tuple(
        _calibrated(page, sorted(rows, key=lambda row: (row.judge, row.sample))) for (page, _), rows in groups.items()
    )


def unfinished(run: Run) -> dict[str, tuple[int, int]]:
    """The judges that some labels were not put to, since the budget was spent, a server failed and so on.

    Returns:
        Judge → so many labels were put to it, and of how many.
    """
    told: dict[str, list[bool]] = {}
    for asked in (each for case in by_case(run.results) for each in case):
        if asked.found.labelled is not None and asked.found.labelled.kind != "pair":
            told.setdefault(asked.model, []).append(_was_asked(asked))
    return {judge: (sum(answered), len(answered)) for judge, answered in told.items() if not all(answered)}


def records_of(run: Run, at: str) -> list[JudgeCalibration]:
    """What is to be kept of a run's calibrations: a record a rubric and judge that was held against all labels.

    Args:
        run: with its results.
        at: the time; ISO 8601, UTC.
    """
    found: list[JudgeCalibration] = []
    partly = unfinished(run)
    known = {
        (each.evaluation.page, each.evaluation.labelled.rubric_hash): each.evaluation.labelled
        for each in run.results
        if each.evaluation and each.evaluation.labelled and each.evaluation.labelled.kind == "reply"
    }
    for table in calibrated(run):
        said = known.get((table.page, table.rubric_hash))
        whole = [judge for judge in table.judges if judge.n + judge.unusable and judge.judge not in partly]
        found += [_record(judge, said, run.id, at) for judge in whole if said]
    return found


def _was_asked(asked: Asked) -> bool:
    return asked.outcome in ANSWERED


def _calibrated(page: str, rows: Sequence[_Row]) -> Calibrated:
    replies = [row for row in rows if row.found.kind == "reply"]
    pairs = [row for row in rows if row.found.kind == "pair"]
    planted = [row for row in rows if row.found.kind in {"canary", "control"}]
    names = list(dict.fromkeys(row.judge for row in rows))
    judges = [_held(name, _of(replies, name), _of(pairs, name), obeyed(_of(planted, name))) for name in names]
    judges.sort(key=lambda each: -(each.kappa.value if each.kappa else -2.0))
    return Calibrated(
        rubric=rows[0].found.rubric,
        rubric_hash=rows[0].found.rubric_hash,
        page=page,
        labels=len({row.sample for row in replies}),
        pairs=len({row.sample for row in pairs}),
        judges=tuple(judges),
        together=_together(names, replies) if len(names) > 1 else None,
    )


def _of(rows: Iterable[_Row], judge: str) -> list[Labelled]:
    return [row.found for row in rows if row.judge == judge]


def _held(judge: str, replies: Sequence[Labelled], pairs: Sequence[Labelled], canaries: Counted) -> HeldJudge:
    told = [each for each in replies if each.judged]
    both = [(each.human, each.judged) for each in told]
    baseline = constant_baseline(human for human, _ in both)
    settled = [each for each in pairs if each.judged]
    found = HeldJudge(
        judge=judge,
        n=len(told),
        unusable=len(replies) - len(told),
        baseline=baseline.agreement if baseline else None,
        sensitivity=_counted(both, "pass"),
        specificity=_counted(both, "fail"),
        pairs=len(settled),
        unusable_pairs=len(pairs) - len(settled),
        canaries=canaries,
        shortfall=_missing(replies, len(told), cohen(both), canaries),
        sentence="",
        **_measured(judge, told, pairs, settled),
    )
    return replace(found, sentence=sentence_of(found))


def _measured(
    judge: str, told: Sequence[Labelled], pairs: Sequence[Labelled], settled: Sequence[Labelled]
) -> dict[str, Estimate | None]:
    """What has an interval."""
    both = [(each.human, each.judged) for each in told]
    judged, human = ([_is_longer(each, getattr(each, who)) for each in settled] for who in ("judged", "human"))
    return {
        "agreement": observed_agreement(both),
        "kappa": cohen(both),
        "length": length_bias([_error(each) for each in told], [float(sum(each.characters)) for each in told]),
        "family": _family_bias(judge, told),
        "pair_agreement": observed_agreement([(each.human, each.judged) for each in settled]),
        "position": _position(pairs),
        "flips": share_estimate([_is_flip(each) for each in settled], [1.0] * len(settled)),
        "longer": longer_preferred(judged, human),
    }


def _missing(replies: Sequence[Labelled], n: int, kappa: Estimate | None, canaries: Counted) -> str:
    if not replies:
        return "no labels of single replies, only pairs"
    wanted, told = replies[0], (kappa.value, kappa.low, kappa.high) if kappa else (None, None, None)
    return shortfall(n, *told, labels=wanted.labels_wanted, floor=wanted.kappa_wanted, canaries=canaries)


def _counted(both: Iterable[tuple[str, str]], label: str) -> Counted:
    said = [judged for human, judged in both if human == label]
    return said.count(label), len(said)


def _error(found: Labelled) -> float:
    return _WORTH[found.judged] - _WORTH[found.human]


def _family_bias(judge: str, told: Sequence[Labelled]) -> Estimate | None:
    own = [_error(each) for each in told if each.model and _is_kin(judge, each.model)]
    others = [_error(each) for each in told if each.model and not _is_kin(judge, each.model)]
    return group_bias(own, others)


def _is_kin(judge: str, model: str) -> bool:
    kin = family(judge)
    return judge == model or (kin is not None and kin == family(model))


def _position(pairs: Iterable[Labelled]) -> Estimate | None:
    """Of pairs that were answered in both orders; ties prefer no place."""
    both = [tuple(place for place in each.places if place != "tie") for each in pairs if all(each.places)]
    places, twice = [place for each in both for place in each], [each for each in both if len(each) == len(_ORDERS)]
    same = sum(len(set(each)) == 1 for each in twice) / len(twice) if twice else 0.0
    return position_bias(places.count("first"), len(places), same)


def _is_flip(found: Labelled) -> bool:
    return found.places[0] == found.places[1] != "tie" if len(found.places) == 2 else False


def _is_longer(found: Labelled, better: str) -> bool | None:
    """Whether the longer reply is the better one; None: a tie, or both are as long."""
    a, b = found.characters if len(found.characters) == 2 else (0, 0)
    return None if better not in {"a", "b"} or a == b else (a > b) == (better == "a")


def _together(names: Sequence[str], replies: Sequence[_Row]) -> Together:
    said: dict[str, dict[str, Labelled]] = {}
    for row in replies:
        if row.found.judged:
            said.setdefault(row.sample, {})[row.judge] = row.found
    verdicts = [[of_one[name].judged if name in of_one else None for name in names] for of_one in said.values()]
    errors = [[abs(_error(of_one[name])) if name in of_one else None for name in names] for of_one in said.values()]
    places = list(combinations(range(len(names)), 2))
    subjects = sorted({row.found.model for row in replies if row.found.model})
    return Together(
        alpha=krippendorff(verdicts) if verdicts else None,
        pairs=tuple(JudgePair(names[a], names[b], cohen([(row[a], row[b]) for row in verdicts])) for a, b in places),
        fleiss=_fleiss(verdicts),
        votes=effective_votes(errors) if errors else None,
        warnings=tuple(warnings_for(names, subjects)),
    )


def _fleiss(verdicts: Sequence[Sequence[str | None]]) -> Estimate | None:
    if not verdicts or len(verdicts[0]) < _PANEL or any(None in row for row in verdicts):
        return None
    return fleiss([[row.count(label) for label in _WORTH] for row in verdicts])


def _record(judge: HeldJudge, said: Labelled, run_id: str, at: str) -> JudgeCalibration:
    return JudgeCalibration(
        rubric=said.rubric,
        rubric_hash=said.rubric_hash,
        judge=judge.judge,
        n=judge.n,
        run=run_id,
        at=at,
        request_hash=said.request_hash,
        labels_hash=said.labels_hash,
        unusable=judge.unusable,
        agreement=_bounded(judge.agreement),
        kappa=_bounded(judge.kappa),
        baseline=judge.baseline,
        sensitivity=judge.sensitivity,
        specificity=judge.specificity,
        canaries=judge.canaries,
        pairs=judge.pairs,
        position=_bounded(judge.position),
        flips=_bounded(judge.flips),
        length=_bounded(judge.length),
        family=_bounded(judge.family),
    )


def _bounded(estimate: Estimate | None) -> tuple[float | None, ...] | None:
    return None if estimate is None else (estimate.value, estimate.low, estimate.high)
