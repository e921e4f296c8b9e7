"""How a test ended, from the exception that ended it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_llmbench.errors import (
    InfraError,
    LlmbenchError,
    NotAskedError,
    OverBudgetError,
    PendingError,
    ReplyFormatError,
    UnscoredError,
)
from pytest_llmbench.records import Outcome

NOT_ASKED = "not_asked"
"""The category of a test that was skipped because the run that replies are taken from did not ask what it asks."""

_NOT_THE_MODELS: Mapping[Outcome, type[LlmbenchError]] = {
    Outcome.INFRA_ERROR: InfraError,
    Outcome.OVER_BUDGET: OverBudgetError,
    Outcome.PENDING: PendingError,
    Outcome.UNSCORED: UnscoredError,
}
"""Outcomes that say nothing of the model, the strongest first: one such error among several decides."""


def classify(error: BaseException | None, *, skipped: bool, failed: bool = False) -> tuple[Outcome, str]:
    """The outcome, and the category of an infra error or of what was not asked ("" for the others).

    Args:
        error: what was raised; None where nothing was.
        skipped: pytest counts the test as skipped, or as failed as expected.
        failed: pytest counts it as failed, also where nothing was raised (a strict xfail that passed, a subtest).
    """
    if isinstance(error, NotAskedError):
        return Outcome.SKIPPED, NOT_ASKED
    if skipped:
        return Outcome.SKIPPED, ""
    for outcome, kind in _NOT_THE_MODELS.items():
        if (first := next((leaf for leaf in _leaves(error) if isinstance(leaf, kind)), None)) is not None:
            return outcome, str(getattr(first, "category", ""))
    if error is None:
        return (Outcome.WRONG if failed else Outcome.RIGHT), ""
    if isinstance(error, AssertionError | ReplyFormatError):
        return Outcome.WRONG, ""
    return Outcome.TEST_ERROR, ""


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif error is not None:
        yield error
