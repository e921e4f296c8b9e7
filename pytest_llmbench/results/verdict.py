"""One run's counts and gates → its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import GateResult
from pytest_llmbench.results.deciding import FAIL, IN_TEST, INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Tally:
    """How the tests of a session ended, as far as the exit code cares."""

    plain_failures: int = 0
    """Failed tests and errors that are no infra error."""
    over_budget: int = 0
    infra_errors: int = 0
    pending: int = 0
    ran: int = 0
    """Tests that use this plugin and were not skipped, infra errors included."""

    @property
    def error_rate(self) -> float:
        return self.infra_errors / self.ran if self.ran else 0.0


def exit_code(
    pytest_code: int, tally: Tally, gates: Sequence[GateResult], *, max_error_rate: float, inconclusive: str
) -> int:
    """The session's exit code.

    Args:
        pytest_code: what pytest would exit with.
        tally: counts over the session's tests.
        gates: what the gates decided.
        max_error_rate: share of infra errors that is tolerated.
        inconclusive: `fail`, `warn` or `pass`.

    Returns:
        pytest's own code where it was interrupted, misused or found no tests, or where a test failed plainly; else
        12, 11, 10, 13, 14 or 0, in this order.
    """
    if pytest_code not in (ExitCode.OK, ExitCode.TESTS_FAILED):
        return pytest_code
    # What a test decided itself fails that test, or was expected to.
    verdicts = {gate.verdict for gate in gates if gate.evidence.kind != IN_TEST or gate.verdict != FAIL}
    reasons = (
        (ExitCode.TESTS_FAILED, tally.plain_failures > 0),
        (ExitCode.OVER_BUDGET, tally.over_budget > 0),
        (ExitCode.INFRA_ERRORS, tally.error_rate > max_error_rate),
        (ExitCode.GATE_FAILED, FAIL in verdicts),
        (ExitCode.INCONCLUSIVE, INCONCLUSIVE in verdicts and inconclusive == "fail"),
        (ExitCode.PENDING, tally.pending > 0),
    )
    return next((code for code, holds in reasons if holds), ExitCode.OK)
