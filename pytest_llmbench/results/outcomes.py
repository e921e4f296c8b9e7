"""How a test ended, from the exception that ended it."""

from __future__ import annotations

from pytest_llmbench.errors import InfraError, ReplyFormatError
from pytest_llmbench.records import Outcome


def classify(error: BaseException | None, *, skipped: bool, failed: bool = False) -> tuple[Outcome, str]:
    """The outcome, and the category of an infra error ("" for the others).

    Args:
        error: what was raised; None where nothing was.
        skipped: pytest counts the test as skipped, or as failed as expected.
        failed: pytest counts it as failed, also where nothing was raised (a strict xfail that passed, a subtest).
    """
    if skipped:
        return Outcome.SKIPPED, ""
    if isinstance(error, InfraError):
        return Outcome.INFRA_ERROR, str(error.category)
    if isinstance(error, BaseExceptionGroup) and (infra := error.subgroup(InfraError)) is not None:
        first = next(e for e in _leaves(infra) if isinstance(e, InfraError))
        return Outcome.INFRA_ERROR, str(first.category)
    if error is None:
        return (Outcome.WRONG if failed else Outcome.RIGHT), ""
    if isinstance(error, AssertionError | ReplyFormatError):
        return Outcome.WRONG, ""
    return Outcome.TEST_ERROR, ""


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
