"""Scores of one reply put together: a value, a verdict, and which judges disagree with what was executed.

Where something was executed to find out (a query, a pattern on its examples, code), no judge decides. Where a judge
that counts is silent, nobody can tell whether a reply is right that no other score calls wrong: else a reply that makes
its judge useless would pass by what programs say of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_llmbench.records import Score


def value_of(scores: Iterable[Score]) -> float | None:
    """Mean of what was scored, by the weights; None where nothing was.

    Of a reply that is not `is_scored` it is what the others say, and no value of the reply's.
    """
    known = [(score.value, score.weight) for score in _deciding(scores) if score.value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def verdict_of(scores: Iterable[Score]) -> bool | None:
    """False where one says so; None where nobody can tell, a validator failed or a judge is silent; else True."""
    counted = _deciding(scores)
    verdicts = [score.passed for score in counted if score.passed is not None]
    if False in verdicts:
        return False
    return True if verdicts and not any(map(_is_missing, counted)) else None


def is_scored(scores: Iterable[Score]) -> bool:
    """Whether there is a verdict, or at least a value that no failed validator or silent judge is missing from."""
    counted = _deciding(scores)
    if verdict_of(counted) is not None:
        return True
    return value_of(counted) is not None and not any(map(_is_missing, counted))


def disagreeing(scores: Sequence[Score]) -> tuple[bool, tuple[str, ...]]:
    """Whether a judge's verdict can be held against something executed, and the names of judges that said otherwise."""
    executed = [score.passed for score in scores if score.executed and score.passed is not None]
    judged = [score for score in scores if score.judged and score.passed is not None]
    if not executed or not judged:
        return False, ()
    right = all(executed)
    return True, tuple(score.name for score in judged if score.passed is not right)


def is_advised(scores: Iterable[Score]) -> bool:
    """Whether one has a say who only advises."""
    return any(score.advisory and score.state == "scored" for score in _deciding(scores))


def bound(scores: Iterable[Score]) -> list[Score]:
    """Without those who only advise."""
    return [score for score in scores if not score.advisory]


def _deciding(scores: Iterable[Score]) -> list[Score]:
    """Without those that have no weight, which only inform, and judges that something executed outranks."""
    weighing = [score for score in scores if score.weight > 0]
    has_run = any(score.executed and score.passed is not None for score in weighing)
    return [score for score in weighing if not (has_run and score.judged)]


def _is_missing(score: Score) -> bool:
    """Whether it should have said something, and might have said that the reply is wrong."""
    return score.state == "error" or (score.judged and score.state == "unscored" and not score.advisory)
