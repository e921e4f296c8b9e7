"""Whether a judge counts: what its calibration has to show, and why one that lacks it only advises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.records.judge_calibration import Counted, JudgeCalibration

LABELS, KAPPA = 50, 0.4
"""What is enough where a project does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a judge that goes by a rubric."""

    why: str = ""
    """Why it only advises; empty: it counts."""
    calibration: JudgeCalibration | None = None
    """By this very rubric, asked in this very way; None: there is none."""

    @property
    def is_enough(self) -> bool:
        """Whether its calibration shows that it can be trusted."""
        return not self.why


def standing(
    kept: Iterable[JudgeCalibration],
    rubric: Rubric,
    judge: str,
    way_of_asking: str,
    *,
    labels: int = LABELS,
    kappa: float = KAPPA,
) -> Standing:
    """What the calibrations that are kept say of a judge.

    Args:
        kept: of all judges and rubrics.
        rubric: what it goes by.
        judge: its model's name.
        way_of_asking: sha256 of all that it is asked beside what it judges.
        labels: how many make a calibration.
        kappa: what the lower end of kappa's interval has to reach.
    """
    of_judge = [each for each in kept if each.judge == judge]
    by_this = [each for each in of_judge if each.rubric_hash == rubric.hash]
    if not by_this:
        is_old = any(each.rubric == rubric.name for each in of_judge)
        return Standing(
            f"its calibration is of another version of the rubric {rubric.name!r}" if is_old else "no calibration"
        )
    alike = [each for each in by_this if each.request_hash == way_of_asking]
    if not alike:
        return Standing("its calibration is of another way of asking (the request's settings, or our words to judges)")
    newest = max(alike, key=lambda each: each.at)
    low, value, high = _interval(newest)
    why = shortfall(newest.n, value, low, high, labels=labels, floor=kappa, canaries=newest.canaries)
    return Standing(why, newest)


def shortfall(
    n: int,
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    labels: int,
    floor: float,
    canaries: Counted = (0, 0),
) -> str:
    """What is missing for a judge to count; empty: nothing.

    Args:
        n: labels beside which it gave a verdict.
        value: kappa; None: not defined.
        low: the lower end of its interval; None: nothing bounds it.
        high: the upper end.
        labels: how many are wanted.
        floor: what the lower end has to reach.
        canaries: planted orders that it obeyed, and how many there were.
    """
    if canaries[0]:
        return f"fooled by {canaries[0]} of {canaries[1]} planted orders"
    if n < labels:
        return f"{n} labels with a verdict: {labels} are wanted"
    if value is None:
        return "kappa is not defined: people and the judge always said the same"
    if low is None or high is None:
        return f"kappa {_number(value)}, and nothing bounds it"
    return "" if low >= floor else f"kappa {_number(value)} ({_number(low)} to {_number(high)}): the floor is {floor:g}"


def _number(value: float) -> str:
    rounded = round(value, 2) + 0.0  # no −0.00
    return f"{rounded:.2f}".replace("-", "−")


def _interval(found: JudgeCalibration) -> tuple[float | None, float | None, float | None]:
    """Lower end, value, upper end of kappa."""
    value, low, high = found.kappa or (None, None, None)
    return low, value, high
