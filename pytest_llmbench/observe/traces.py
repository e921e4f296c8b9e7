"""Traces: each call to a model as a span, below its test, below its run; sent to the user's own collector."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pytest_llmbench import __version__, clock
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import StoreError
from pytest_llmbench.observe import session_spans, spans
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Note
from pytest_llmbench.observe.deliveries import Deliveries
from pytest_llmbench.observe.outbox import Delivery, Outbox, endpoint
from pytest_llmbench.records import TestResult
from pytest_llmbench.store import Store

MAIN = "main"
"""The process that ends a run …"""
CHAT = "chat"
"""... or a chat: its span is told there."""
_ENDING = frozenset({MAIN, CHAT})


def opened_traces(resolved: Resolved, run_id: str, process: str, tell: Callable[[str], None]) -> Tracer | None:
    """What sends spans of this process; None where OpenTelemetry is switched off (`OTEL_SDK_DISABLED`).

    Args:
        resolved: settings and configuration.
        run_id: the run.
        process: which of its processes this is, see `opening.opened`.
        tell: told in a sentence, at the end, what did not arrive.

    Raises:
        MissingExtraError: the extra `otel` is not installed.
        UsageError: a variable of OpenTelemetry has a value that cannot be.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    return Tracer(resolved, run_id, process, tell)


class Tracer:
    """Implements `Observer`; see there. Arguments and errors as of `opened_traces`."""

    def __init__(self, resolved: Resolved, run_id: str, process: str, tell: Callable[[str], None]) -> None:
        about = {
            "service.name": "pytest-llmbench",
            "service.version": __version__,
            "service.instance.id": f"{run_id}/{process}",
        }
        self._outbox = Outbox(about)
        self._run_id = run_id
        self._process = process
        self._tell = tell
        self._content = resolved.settings.request_log == "content"
        self._database = resolved.results_dir / "results.db"
        self._began_at = clock.now().isoformat()
        self._deliveries = Deliveries(resolved.results_dir / "logs" / run_id, self._began_at)
        self._is_counted = process not in _ENDING and self._deliveries.begin(process)
        """Whether another process tells what became of our spans."""
        self._retried: dict[int, tuple[str, CallEnded]] = {}
        """Span of a question that is tried again → when its first attempt began, and the last one."""

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        return {"traceparent": spans.traceparent(call)}

    def ends(self, ended: CallEnded) -> None:
        call, is_last = ended.call, ended.retry_in_s is None
        if call.profile:  # sending takes processor time, which the next load would be short of
            return
        question = spans.question_span_id(call)
        before = self._retried.pop(question, None)
        first_at = call.begun_at if before is None else before[0]
        is_alone = before is None and is_last
        parent = spans.test_span_id(call.run_id, call.test_key) if is_alone else question
        self._outbox.put(partial(spans.of_call, ended, parent, content=self._content))
        if not is_last:
            self._retried[question] = first_at, ended
        elif not is_alone:
            self._outbox.put(partial(spans.of_question, ended, first_at))

    def tests(self, result: TestResult) -> None:
        now = clock.now().isoformat()
        told = result, self._run_id, self._began_at, now
        self._outbox.put(partial(session_spans.of_test, *told, content=self._content))

    def notes(self, note: Note) -> None:
        """Notes are no calls."""

    def flush(self) -> None:
        """Nobody reads spans here."""

    def close(self) -> None:
        for first_at, ended in self._retried.values():  # it never came to the attempt that was promised
            self._outbox.put(partial(spans.of_question, ended, first_at))
        if self._process in _ENDING:
            code = _exit_code(self._database, self._run_id) if self._process == MAIN else None
            told = self._run_id, self._began_at, clock.now().isoformat(), code
            self._outbox.put(partial(session_spans.of_run, *told))
        self._account_for(self._outbox.close())

    def _account_for(self, done: Delivery) -> None:
        if self._is_counted and self._deliveries.leave(self._process, done):
            return
        several = [done, *(self._deliveries.take() if self._process in _ENDING else ())]
        sent, lost = sum(each.sent for each in several), sum(each.lost for each in several)
        if lost:
            reason = next((each.reason for each in several if each.reason), "")
            told = f"traces: {lost} of {lost + sent} spans did not reach {endpoint()}"
            self._tell(f"{told}{f': {reason}' if reason else ''}")


def _exit_code(database: Path, run_id: str) -> int | None:
    """What the run came to; None where that is not known."""
    if not database.exists():
        return None
    try:
        with warnings.catch_warnings(action="ignore"), Store.open(database) as store:  # who stores there has warned
            head = store.run_head(run_id)
    except StoreError:  # who stores the results tells
        return None
    return None if head is None else head.exit_code
