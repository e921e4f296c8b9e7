"""Trials of one sample in as few calls as its verdict takes: the rest is not asked once it could change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import NotAskedError
from pytest_llmbench.evaluations.asking import Answer, Asking
from pytest_llmbench.evaluations.certainty import fewest, is_certain
from pytest_llmbench.evaluations.judged import verdicts_on
from pytest_llmbench.evaluations.jury import Behalf
from pytest_llmbench.evaluations.scoring import bound, is_advised, verdict_of
from pytest_llmbench.evaluations.telling import put_together, scores_of
from pytest_llmbench.records import Evaluation, Sample, Score, Trial
from pytest_llmbench.usecases import UseCase


def until_certain(
    asking: Asking, asked: Sample, sample: Sample, planned: Sequence[Question], behalf: Behalf
) -> tuple[Evaluation, list[Answer]]:
    """Ask the smallest number of trials that may decide, and again, until a verdict is certain or all are asked.

    Args:
        asking: who is asked, and how.
        asked: what.
        sample: what replies are scored by.
        planned: what was asked ahead: the first of these trials.
        behalf: on whose behalf judges are asked.

    Returns:
        What was found out, and the answers of the trials that were asked.
    """
    case = asking.prepared.case
    answers, note = asking.answers(asked, planned, asking.prepared.first_trials)
    scores = scores_of(asking, sample, answers, verdicts_on(asking, sample, answers, behalf))
    while size := further(case, scores):
        try:
            more, _ = asking.answers(asked, asking.foreseen(asked, behalf.key, size), size)
        except NotAskedError:  # this run takes its replies from one that left out the others
            break
        scores += scores_of(asking, sample, more, verdicts_on(asking, sample, more, behalf))
        answers += more
    found = put_together(asking, sample, answers, scores, note)
    return (found if len(answers) == case.repeats else _noted(found, case.repeats)), answers


def _noted(found: Evaluation, most: int) -> Evaluation:
    asked = f"asked {len(found.trials)} of {most} trials"
    told = f"{asked}, as the others could not change the verdict: its score is of those that were asked"
    return replace(found, stopped_of=most, notes=(*found.notes, told))


def further(case: UseCase, scores: Sequence[Sequence[Score]]) -> int:
    """How many trials are asked next; 0: the verdict is certain, or there are no more."""
    left = case.repeats - len(scores)
    is_open = [trials for trials in _ways(scores) if left and not is_certain(trials, case.reducer, left)]
    return max((fewest(trials, case.reducer, left) for trials in is_open), default=0)


def _ways(scores: Sequence[Sequence[Score]]) -> Iterator[list[Trial]]:
    """Each trial's verdict; where judges only advise and others score as well, also without what those say: a gate
    counts both."""
    yield [Trial(passed=verdict_of(each)) for each in scores]
    bare = [bound(each) for each in scores]
    if any(map(is_advised, scores)) and any(bare):
        yield [Trial(passed=verdict_of(each)) for each in bare]
