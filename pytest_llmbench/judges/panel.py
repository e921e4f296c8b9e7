"""Several judges' scores of one reply made one.

A silent judge (no usable verdict, or none at all) withholds its vote. By `majority` and `veto` it lowers no bar: where
the silent could still turn the decision, nobody can tell. By `mean` the others decide while they are more than half:
there a severe judge that falls silent does raise the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmbench.judges.judging import Vote
from pytest_llmbench.judges.verdict import reaches
from pytest_llmbench.records.score import Score

NAME = "panel"


def combined(scores: Sequence[Score], how: Vote, pass_at: float) -> Score:
    """What a panel says.

    Args:
        scores: one a member, silent ones among them.
        how: `majority`: more than half of all members pass it; its value is the share of votes cast. `mean`: the mean
            value of those who scored reaches `pass_at`, and fewer than half of them fail it for a criterion that must
            pass; unscored where half of the members or more are silent. `veto`: nobody fails it; its value is the
            worst.
        pass_at: the value, from 0 to 1, from which a reply passes.

    Returns:
        Every member is a part.
    """
    votes = [vote_of(score, pass_at) for score in scores]
    passed = _DECIDES[how](scores, votes, pass_at)
    told = f"{votes.count(True)} for, {votes.count(False)} against, {votes.count(None)} silent, by {how}"
    details = {"how": how, "for": votes.count(True), "against": votes.count(False), "silent": votes.count(None)}
    advisory = any(score.advisory for score in scores)
    if passed is None:
        reason = f"the panel cannot decide: {told}"
        return Score(
            NAME, state="unscored", reason=reason, details=details, judged=True, advisory=advisory, parts=tuple(scores)
        )
    return Score(
        NAME,
        value=_worth(scores, votes, how),
        passed=passed,
        reason=told,
        details=details,
        judged=True,
        advisory=advisory,
        parts=tuple(scores),
    )


def vote_of(score: Score, pass_at: float) -> bool | None:
    """For, against, or None: silent."""
    if score.state != "scored":
        return None
    if score.passed is not None:
        return score.passed
    return None if score.value is None else reaches(score.value, pass_at)


def _majority(_scores: Sequence[Score], votes: Sequence[bool | None], _pass_at: float) -> bool | None:
    half, support = len(votes) / 2, votes.count(True)
    if support > half:
        return True
    return False if votes and support + votes.count(None) <= half else None


def _mean(scores: Sequence[Score], votes: Sequence[bool | None], pass_at: float) -> bool | None:
    values = _values(scores)
    if 2 * len(values) <= len(votes):
        return None
    refused = sum(bool(score.details.get("failed_musts")) for score in scores)
    return reaches(_mean_of(values), pass_at) and 2 * refused < len(values)


def _veto(_scores: Sequence[Score], votes: Sequence[bool | None], _pass_at: float) -> bool | None:
    if False in votes:
        return False
    return None if None in votes or not votes else True


_DECIDES = {"majority": _majority, "mean": _mean, "veto": _veto}


def _worth(scores: Sequence[Score], votes: Sequence[bool | None], how: Vote) -> float:
    if how == "majority":
        return votes.count(True) / (votes.count(True) + votes.count(False))
    values = _values(scores) or [float(False not in votes)]
    return min(values) if how == "veto" else _mean_of(values)


def _values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores if score.state == "scored" and score.value is not None]


def _mean_of(values: Sequence[float]) -> float:
    return min(1.0, math.fsum(values) / len(values))
