"""Exit codes, in their order."""

from __future__ import annotations

import pytest

from pytest_llmbench.errors import Category, InfraError, OverBudgetError, PendingError, ReplyFormatError
from pytest_llmbench.records import GateResult, Outcome
from pytest_llmbench.results.outcomes import classify
from pytest_llmbench.results.verdict import Tally, exit_code

FAILED = GateResult("g", "fail", "")
UNSURE = GateResult("g", "inconclusive", "")


def code(pytest_code: int = 0, tally: Tally | None = None, *gates: GateResult, inconclusive: str = "warn") -> int:
    return exit_code(pytest_code, tally or Tally(ran=10), gates, max_error_rate=0.05, inconclusive=inconclusive)


@pytest.mark.parametrize("own", [2, 3, 4, 5])
def test_an_interrupted_or_misused_session_keeps_pytests_code(own: int) -> None:
    assert code(own, Tally(ran=1, infra_errors=1), FAILED) == own


def test_a_plain_failure_comes_before_everything_of_ours() -> None:
    assert code(1, Tally(ran=1, plain_failures=1, over_budget=1, infra_errors=1), FAILED) == 1


def test_over_budget_comes_before_infra_errors() -> None:
    assert code(1, Tally(ran=2, over_budget=1, infra_errors=1), FAILED) == 12


def test_infra_errors_above_the_allowed_rate_come_before_gates() -> None:
    assert code(1, Tally(ran=10, infra_errors=1), FAILED) == 11


def test_infra_errors_within_the_allowed_rate_leave_the_exit_code_alone() -> None:
    assert code(1, Tally(ran=20, infra_errors=1)) == 0


def test_what_is_pending_turns_the_exit_code_where_nothing_else_does() -> None:
    assert code(1, Tally(ran=2, pending=1)) == 14
    assert code(1, Tally(ran=2, pending=1), FAILED) == 10


def test_a_failed_gate_turns_the_exit_code() -> None:
    assert code(0, None, UNSURE, FAILED, inconclusive="fail") == 10


@pytest.mark.parametrize(("choice", "expected"), [("fail", 13), ("warn", 0), ("pass", 0)])
def test_an_inconclusive_gate_counts_as_chosen(choice: str, expected: int) -> None:
    assert code(0, None, UNSURE, inconclusive=choice) == expected


INFRA = InfraError("gone", category=Category.LOCAL_OOM)


@pytest.mark.parametrize(
    ("error", "outcome", "category"),
    [
        (None, Outcome.RIGHT, ""),
        (AssertionError("no"), Outcome.WRONG, ""),
        (ReplyFormatError("no key"), Outcome.WRONG, ""),
        (KeyError("x"), Outcome.TEST_ERROR, ""),
        (INFRA, Outcome.INFRA_ERROR, "local.oom"),
        (ExceptionGroup("several", [ValueError("x"), INFRA]), Outcome.INFRA_ERROR, "local.oom"),
        (OverBudgetError("no more"), Outcome.OVER_BUDGET, ""),
        (PendingError("not yet"), Outcome.PENDING, ""),
        (ExceptionGroup("several", [OverBudgetError("no more"), INFRA]), Outcome.INFRA_ERROR, "local.oom"),
    ],
)
def test_an_outcome_is_read_off_the_exception(error: Exception | None, outcome: Outcome, category: str) -> None:
    assert classify(error, skipped=False) == (outcome, category)


def test_a_skipped_test_is_skipped() -> None:
    assert classify(None, skipped=True) == (Outcome.SKIPPED, "")
