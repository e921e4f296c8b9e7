"""Which runs may become a baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import Outcome, Run

_UNTOLD = {
    Outcome.INFRA_ERROR: "infra errors",
    Outcome.TEST_ERROR: "errors of tests",
    Outcome.OVER_BUDGET: "tests over budget",
    Outcome.PENDING: "replies that are still with a batch API",
}


def objections(run: Run) -> list[str]:
    """Why a run should not be what others are compared with; none of a good one."""
    return list(_objections(run))


def _objections(run: Run) -> Iterator[str]:
    if run.finished_at is None or run.exit_code is None:
        yield "it did not end"
    elif run.exit_code == ExitCode.INTERRUPTED:
        yield "it was interrupted"
    elif run.exit_code != ExitCode.OK:
        yield f"it is red (exit code {run.exit_code})"
    counts = Counter(result.outcome for result in run.results)
    for outcome, what in _UNTOLD.items():
        if counts[outcome]:
            yield f"it has {counts[outcome]:,} {what}"
    if run.environment.get("git_dirty"):
        yield "its revision had changes that were not committed"
