"""The spans of a run and of its tests, with what was scored in them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmbench.observe import genai_names as names
from pytest_llmbench.observe.spans import Span, SpanEvent, given, nanoseconds, run_span_id, test_span_id, trace_id
from pytest_llmbench.records import Outcome, Score, TestResult
from pytest_llmbench.redaction import redact

_BROKEN = frozenset({Outcome.INFRA_ERROR, Outcome.TEST_ERROR, Outcome.OVER_BUDGET})
_STATUS = {str(Outcome.RIGHT): "pass", str(Outcome.WRONG): "fail", str(Outcome.TEST_ERROR): "fail"}


def of_run(run_id: str, began_at: str, ended_at: str, exit_code: int | None) -> Span:
    """One session of a run.

    Args:
        run_id: the run.
        began_at: when the session began; ISO 8601, UTC.
        ended_at: when it ended.
        exit_code: None where it came to none.
    """
    return Span(
        name="run",
        trace_id=trace_id(run_id),
        span_id=run_span_id(run_id, began_at),
        start_ns=nanoseconds(began_at),
        end_ns=nanoseconds(ended_at),
        attributes=given({names.RUN: run_id, names.EXIT_CODE: exit_code}),
        is_error=bool(exit_code),
    )


def of_test(result: TestResult, run_id: str, began_at: str, ended_at: str, *, content: bool) -> Span:
    """One test, with an event for each score.

    Args:
        result: how it ended.
        run_id: its run.
        began_at: when the session began; ISO 8601, UTC.
        ended_at: when the test did.
        content: whether reasons of scores go along: they quote what models said.
    """
    end_ns = nanoseconds(ended_at)
    evaluation = result.evaluation
    told = {
        names.RUN: run_id,
        names.TEST: result.key,
        names.TEST_NAME: result.nodeid,
        names.TEST_STATUS: _STATUS.get(result.outcome),
        names.SAMPLE: result.sample,
        names.USE_CASE: evaluation.use_case if evaluation else "",
        names.MODEL: result.model,
        names.OUTCOME: result.outcome,
        names.ERROR_TYPE: result.category,
    }
    return Span(
        name=f"test {redact(result.key)}",
        trace_id=trace_id(run_id),
        span_id=test_span_id(run_id, result.key),
        parent_id=run_span_id(run_id, began_at),
        start_ns=end_ns - round((result.duration_s or 0.0) * 1e9),
        end_ns=end_ns,
        attributes=given(told),
        events=tuple(_event(score, end_ns, content=content) for score in _scores(result)),
        is_error=result.outcome in _BROKEN,
    )


def _scores(result: TestResult) -> Iterator[Score]:
    """What is known of how good the reply was; what nobody could score says nothing."""
    if result.evaluation is not None:
        yield from (score for score in result.evaluation.scores if score.state != "unscored")
    elif result.reply_ids and result.outcome in {Outcome.RIGHT, Outcome.WRONG}:
        is_right = result.outcome == Outcome.RIGHT
        yield Score("assert", value=float(is_right), passed=is_right)


def _event(score: Score, at_ns: int, *, content: bool) -> SpanEvent:
    told = {
        names.EVALUATION_NAME: score.name,
        names.EVALUATION_VALUE: score.value,
        names.EVALUATION_LABEL: None if score.passed is None else "pass" if score.passed else "fail",
        names.EVALUATION_TEXT: score.reason if content else None,
        names.JUDGED: score.judged or None,
        names.ERROR_TYPE: "_OTHER" if score.state == "error" else None,
    }
    return SpanEvent(names.EVALUATION, at_ns, given(told))
