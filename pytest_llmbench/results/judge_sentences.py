"""What to think of a judge, in a plain sentence."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmbench.results.held_judges import Counted, HeldJudge
from pytest_llmbench.stats import Estimate

_EVEN = 0.5
_MANY_UNUSABLE = 0.05
_MANY_FLIPS = 0.1
_UNBALANCED = 0.25
"""Sensitivity and specificity this far apart are told."""


def sentence_of(judge: HeldJudge) -> str:
    """What it is good for, and what is to be known of it."""
    scope = "" if _side(judge.position, _EVEN) is None else " for single replies alone"
    first = f"advises only: {judge.shortfall}" if judge.shortfall else f"counts{scope}: {_agrees(judge)}"
    return "; ".join([first, *_faults(judge)])


def _agrees(judge: HeldJudge) -> str:
    kappa = judge.kappa
    return "" if kappa is None else f"it agrees with people beyond chance (kappa {kappa.value:.2f})"


def _faults(judge: HeldJudge) -> Iterator[str]:
    agreement, baseline = judge.agreement, judge.baseline
    if agreement is not None and baseline is not None and (agreement.low or 0.0) <= baseline:
        yield f"it agrees no more often than one that always says the same ({_percent(baseline)})"
    yield from _lenience(judge.sensitivity, judge.specificity)
    if (side := _side(judge.length, 0.0)) is not None:
        yield f"it errs in favour of {'long' if side > 0 else 'short'} replies"
    if (side := _side(judge.family, 0.0)) is not None:
        yield f"it is {'kinder to' if side > 0 else 'harder on'} models of its own family"
    yield from _on_pairs(judge)
    asked = judge.n + judge.unusable + judge.pairs + judge.unusable_pairs
    unusable = judge.unusable + judge.unusable_pairs
    if unusable > _MANY_UNUSABLE * asked:
        yield f"{unusable} of {asked} times its answer could not be used"


def _lenience(sensitivity: Counted, specificity: Counted) -> Iterator[str]:
    if not (sensitivity[1] and specificity[1]):
        return
    passes, fails = sensitivity[0] / sensitivity[1], specificity[0] / specificity[1]
    if passes - fails > _UNBALANCED:
        yield f"it is lenient: it passes {_percent(1 - fails)} of what people fail"
    elif fails - passes > _UNBALANCED:
        yield f"it is strict: it fails {_percent(1 - passes)} of what people pass"


def _on_pairs(judge: HeldJudge) -> Iterator[str]:
    side, flips = _side(judge.position, _EVEN), judge.flips
    if side is not None:
        yield f"of two replies it prefers the {'first' if side > 0 else 'second'}, so do not let it compare"
    if flips is not None and flips.value > _MANY_FLIPS:
        yield f"swapped, {_percent(flips.value)} of the pairs make it contradict itself"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _side(estimate: Estimate | None, middle: float) -> int | None:
    """1 where all of an interval lies above the middle, −1 below; None: no lean is shown."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return 1 if estimate.low > middle else -1 if estimate.high < middle else None
