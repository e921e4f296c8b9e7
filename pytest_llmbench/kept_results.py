"""How tests ended, as their reports tell it, on its way into the store."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pytest_llmbench.errors import StoreError
from pytest_llmbench.records import Outcome, Run, TestResult
from pytest_llmbench.results.verdict import Tally
from pytest_llmbench.session import Session

_GOOD = (Outcome.RIGHT, Outcome.SKIPPED)
_NOT_PLAIN = (Outcome.INFRA_ERROR, Outcome.OVER_BUDGET, Outcome.PENDING)
"""Failures for pytest that say nothing of the model or the test, and have an exit code of their own."""


class KeptResults:
    """The results of one session, on its controller.

    Args:
        session: this process's.
        say: tells the user what could not be stored.
    """

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self.lost = 0
        """Results that could not be stored."""
        self._session = session
        self._say = say
        self._not_plain = 0
        self._results: dict[str, TestResult] = {}
        """Node id → what is stored of it; a worse outcome is not replaced by a later, better one."""
        self._ordered: deque[tuple[str, Future[None]]] = deque()

    def take(self, sent: Mapping[str, Any], *, failed: bool) -> None:
        """Keep what a report told.

        Args:
            sent: a result in builtin types.
            failed: whether pytest counts the report as failed.
        """
        result = TestResult.from_dict(sent)
        if failed and result.outcome in _NOT_PLAIN:
            self._not_plain += 1
        known = self._results.get(result.nodeid)
        if known is None or known.outcome in _GOOD:
            self._results[result.nodeid] = dataclasses.replace(result, evaluation=None)  # the store has it
            self._save(result)

    def forget(self, nodeid: str) -> TestResult | None:
        """Its outcome no longer stands: the process died in its teardown."""
        return self._results.pop(nodeid, None)

    def settle(self) -> None:
        """Wait until all is stored, and tell what could not be."""
        while self._ordered:
            self._check(*self._ordered.popleft())

    def plain_failures(self, tests_failed: int) -> int:
        """How many of pytest's failed reports tell of the tests or the model, and of nothing around them."""
        return tests_failed - self._not_plain

    def tally(self, run: Run, tests_failed: int) -> Tally:
        """How the tests ended, as far as the exit code cares.

        Args:
            run: as stored.
            tests_failed: pytest's own count of failed reports, of tests that are not ours too.
        """
        outcomes = [result.outcome for result in run.results]
        return Tally(
            plain_failures=self.plain_failures(tests_failed),
            over_budget=outcomes.count(Outcome.OVER_BUDGET),
            infra_errors=outcomes.count(Outcome.INFRA_ERROR),
            pending=outcomes.count(Outcome.PENDING),
            ran=len(outcomes) - outcomes.count(Outcome.SKIPPED),
        )

    def _save(self, result: TestResult) -> None:
        """Of thousands of samples none waits for the disk; a test without one may have taken minutes."""
        if (observer := self._session.observer) is not None:
            observer.tests(result)
        done = self._session.store.order_result(self._session.run_id, result, patient=bool(result.sample))
        self._ordered.append((result.nodeid, done))
        while self._ordered and (not result.sample or self._ordered[0][1].done()):
            self._check(*self._ordered.popleft())

    def _check(self, nodeid: str, done: Future[None]) -> None:
        """An escaping error here would be pytest's INTERNALERROR and lose the run; it is told and counted instead."""
        try:
            done.result()
        except StoreError as error:
            self.lost += 1
            self._say(f"{nodeid}: the result could not be stored: {error}")
