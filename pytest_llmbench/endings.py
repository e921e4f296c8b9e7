"""Tests of which no report told how they ended."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

from pytest_llmbench.errors import Category
from pytest_llmbench.records import Outcome, TestResult

_DEATH_S = 5.0


def how_it_ended(node: Any) -> str:
    """A dead worker's exit code or signal, in words; empty where xdist did not start it as a process of ours."""
    process = getattr(getattr(getattr(node, "gateway", None), "_io", None), "popen", None)
    if process is None:
        return ""
    try:
        code = process.wait(timeout=_DEATH_S)
    except subprocess.TimeoutExpired:
        return ""
    names = {number.value: number.name for number in signal.Signals}
    return f" ({names.get(-code, f'signal {-code}')})" if code < 0 else f" (exit code {code})"


def never_told(unfinished: TestResult, *, interrupted: bool, ended: str = "") -> TestResult:
    """The result of a test whose process died, or that was interrupted.

    Args:
        unfinished: what was known of it before it ended.
        interrupted: whether the session was.
        ended: see `how_it_ended`.
    """
    category = Category.CANCELLED if interrupted else Category.LOCAL_WORKER_CRASH
    message = "the session was interrupted" if interrupted else f"the process that ran this test died{ended}"
    return _ended(unfinished, Outcome.INFRA_ERROR, message, str(category))


def stopped(unfinished: TestResult) -> TestResult:
    """The result of a test that `-x` or `--maxfail` cut off."""
    message = "the session stopped (-x or --maxfail) while it ran"
    return _ended(unfinished, Outcome.SKIPPED, message)


def _ended(unfinished: TestResult, outcome: Outcome, message: str, category: str = "") -> TestResult:
    """Of the test what it is about; what it measured or was answered before is no longer its result."""
    return TestResult(
        unfinished.nodeid,
        unfinished.key,
        str(outcome),
        message=message,
        category=category,
        model=unfinished.model,
        sample=unfinished.sample,
        evaluation=unfinished.evaluation,
        rules=unfinished.rules,
    )
