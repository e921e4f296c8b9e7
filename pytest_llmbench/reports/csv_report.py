"""One row per model × quantization × profile, per model whose replies were tested, per model of a use case, per gate.

A text cell that a spreadsheet would take for a formula begins with an apostrophe. An empty cell is "not measured". The
JSON report is the lossless form.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.records import GateResult, Outcome, Run
from pytest_llmbench.reports.asked import AskedRow
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.reports.safe_cells import safe_cell
from pytest_llmbench.reports.view import RunView, view
from pytest_llmbench.results.costs import Spent
from pytest_llmbench.results.robustness import RobustRow
from pytest_llmbench.results.use_cases import CaseRow, CaseTable

_RUN_COLUMNS: Mapping[str, Callable[[Run], Any]] = {
    "run_id": lambda run: run.id,
    "started_at": lambda run: run.started_at,
    "exit_code": lambda run: run.exit_code,
    "cpu_model": lambda run: run.host.cpu_model,
    "physical_cores": lambda run: run.host.physical_cores,
    "memory_bytes": lambda run: run.host.memory_bytes,
    "host_fingerprint": lambda run: run.host.fingerprint,
    "git_revision": lambda run: run.environment.get("git_revision"),
}

_FAILED = "failed_attempts"

_MODEL_COLUMNS: Mapping[str, Callable[[ModelRow], Any]] = {
    "model": lambda row: row.model,
    "quant": lambda row: row.quant,
    "requantized_from": lambda row: row.requantized_from,
    "profile": lambda row: row.profile,
    "engine": lambda row: row.engine,
    "engine_build": lambda row: row.build,
    "load_s": lambda row: row.load_s,
    "ttft_p50_s": lambda row: row.ttft_p50_s,
    "ttft_p95_s": lambda row: row.ttft_p95_s,
    "ttft_n": lambda row: row.ttft_n,
    "prompt_p50_tokens_per_s": lambda row: row.prompt_tps_p50,
    "decode_p50_tokens_per_s": lambda row: row.decode_tps_p50,
    "max_stall_max_s": lambda row: _statistic(row, "max_stall_s", "max"),
    "cpu_p50_s_per_token": lambda row: _statistic(row, "cpu_s_per_token", "p50"),
    "peak_rss_bytes": lambda row: row.peak_rss_bytes,
    "rating": lambda row: row.rating,
    "sentence": lambda row: row.sentence,
    "notes": lambda row: "; ".join(row.notes),
}

_PROFILE_COLUMNS: Mapping[str, Callable[[ModelRow], Any]] = {
    "itl_cv_share": lambda row: _statistic(row, "itl_cv", "p50"),
    "memory_share": lambda row: _statistic(row, "memory_share", "p50"),
    "context_load_s": lambda row: _statistic(row, "context_load_s", "p50"),
    "largest_context_tokens": lambda row: _statistic(row, "largest_context", "p50"),
    "recall_share": lambda row: _statistic(row, "recall", "mean"),
    "s_per_document_p50": lambda row: _statistic(row, "s_per_document", "p50"),
    "documents_per_hour": lambda row: _statistic(row, "documents_per_hour", "p50"),
    "speedup": lambda row: _statistic(row, "speedup", "max"),
    "accuracy_share": lambda row: _statistic(row, "accuracy", "p50"),
    "sustained_tokens_per_s": lambda row: _statistic(row, "sustained_tps", "p50"),
    "temperature_c": lambda row: _statistic(row, "temperature_c", "max"),
    "goodput_requests_per_s": lambda row: _statistic(row, "goodput_rps", "max"),
    "grades": lambda row: "; ".join(
        f"{' '.join(filter(None, (grade.metric, grade.of)))}: {grade.grade or 'not graded'}" for grade in row.grades
    ),
    "repetitions": lambda row: row.repetitions,
    "taken_again": lambda row: row.taken_again,
    "disturbed": lambda row: row.disturbed,
}

_ASKED_COLUMNS: Mapping[str, Callable[[AskedRow], Any]] = {
    "tests": lambda row: row.n,
    "right": lambda row: row.right,
    "wrong": lambda row: row.wrong,
    "unscored": lambda row: row.unscored,
    "infra_errors": lambda row: row.infra_errors,
    "over_budget": lambda row: row.over_budget,
    "pending": lambda row: row.pending,
    "test_errors": lambda row: row.test_errors,
    "skipped": lambda row: row.skipped,
    "pass_rate_share": lambda row: row.pass_rate,
    "pass_rate_low_share": lambda row: row.pass_rate_low,
    "pass_rate_high_share": lambda row: row.pass_rate_high,
    "replies": lambda row: row.replies,
    "e2e_p50_s": lambda row: row.e2e_p50_s,
    "e2e_p95_s": lambda row: row.e2e_p95_s,
    "prompt_tokens": lambda row: row.prompt_tokens,
    "completion_tokens": lambda row: row.completion_tokens,
    "cost_subject_usd": lambda row: _usd(row.costs.subject),
    "cost_judge_usd": lambda row: _usd(row.costs.judge),
    "cost_failed_usd": lambda row: _usd(row.costs.failed),
    "calls_of_unknown_cost": lambda row: row.costs.total.unknown,
    "replayed": lambda row: row.costs.total.replayed,
    "taken_over": lambda row: row.costs.total.taken_over,
    "cached": lambda row: row.costs.total.cached,
}

_CASE_COLUMNS: Mapping[str, Callable[[tuple[CaseTable, CaseRow]], Any]] = {
    "use_case": lambda of: of[0].name,
    "use_case_page": lambda of: of[0].page,
    "prompt": lambda of: of[1].prompt,
    "prompt_version": lambda of: of[1].prompt_version,
    "prompt_mode": lambda of: of[1].prompt_mode,
    "trials": lambda of: of[1].trials,
    "score_share": lambda of: of[1].score and of[1].score.value,
    "score_low_share": lambda of: of[1].score and of[1].score.low,
    "score_high_share": lambda of: of[1].score and of[1].score.high,
    "cost_per_sample_usd": lambda of: of[1].calls.cost_per_sample_usd and of[1].calls.cost_per_sample_usd.value,
    "on_cost_front": lambda of: int(of[1].on_cost_front),
    "on_speed_front": lambda of: int(of[1].on_speed_front),
    "executed_samples": lambda of: of[1].executed,
    "disagreement_share": lambda of: of[1].disagreed and of[1].disagreed.value,
}

_ROBUST_COLUMNS: Mapping[str, Callable[[RobustRow], Any]] = {
    "corruption": lambda row: row.corruption,
    "pairs": lambda row: row.n,
    "clean_share": lambda row: row.clean and row.clean.value,
    "damaged_share": lambda row: row.damaged and row.damaged.value,
    "difference_share": lambda row: row.difference,
    "difference_low_share": lambda row: row.low,
    "difference_high_share": lambda row: row.high,
    "p_value": lambda row: row.p_value,
    "turned_wrong": lambda row: len(row.turned_wrong),
    "turned_right": lambda row: len(row.turned_right),
    "robustness_share": lambda row: row.robustness and row.robustness.value,
}

_GATE_COLUMNS: Mapping[str, Callable[[GateResult], Any]] = {
    "gate": lambda gate: gate.gate,
    "gate_of": lambda gate: gate.profile,
    "gate_verdict": lambda gate: gate.verdict,
    "gate_reason": lambda gate: gate.reason,
    "gate_metric": lambda gate: gate.metric,
    "gate_value": lambda gate: gate.value,
    "gate_limit": lambda gate: gate.limit,
    "gate_n": lambda gate: gate.n,
    "gate_before": lambda gate: gate.evidence.before,
    "gate_change": lambda gate: gate.evidence.change,
    "gate_low": lambda gate: gate.evidence.low,
    "gate_high": lambda gate: gate.evidence.high,
    "gate_p_corrected": lambda gate: gate.evidence.p_corrected,
    "gate_smallest_detectable": lambda gate: gate.evidence.smallest_detectable,
    "gate_n_needed": lambda gate: gate.evidence.n_needed,
}

_OUTCOME_COLUMNS: Mapping[str, Outcome] = {
    "right": Outcome.RIGHT,
    "wrong": Outcome.WRONG,
    "unscored": Outcome.UNSCORED,
    "infra_errors": Outcome.INFRA_ERROR,
    "over_budget": Outcome.OVER_BUDGET,
    "pending": Outcome.PENDING,
    "test_errors": Outcome.TEST_ERROR,
    "skipped": Outcome.SKIPPED,
}

_TESTED, _USED, _DAMAGED, _GATE = "tests", "use case", "damaged inputs", "gate"
"""What stands in the profile's column of a row about tests of replies, a use case, damaged inputs of one, a gate."""

COLUMNS: tuple[str, ...] = (
    *_MODEL_COLUMNS,
    *_RUN_COLUMNS,
    _FAILED,
    *_PROFILE_COLUMNS,
    *_ASKED_COLUMNS,
    *_CASE_COLUMNS,
    *_ROBUST_COLUMNS,
    *_GATE_COLUMNS,
)
"""The header, a contract: columns are only ever added at the end."""


def render(run: Run, shown: RunView | None = None) -> str:
    """The CSV report (RFC 4180), a header, a row per measurement, per model whose replies were tested, per model of
    each use case, per corruption of its inputs, and per gate."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    shown = shown or view(run)
    about = _values(_RUN_COLUMNS, run)
    failed = Counter(attempt.model for attempt in run.failed_attempts)
    for row in shown.models:
        values = {**_values(_MODEL_COLUMNS, row), **about, **_values(_PROFILE_COLUMNS, row)}
        _write(writer, {**values, _FAILED: failed[row.label]})
    for asked in shown.asked:
        named = {"model": asked.model, "profile": _TESTED, "ttft_p50_s": asked.ttft_p50_s}
        _write(writer, {**named, **about, **_values(_ASKED_COLUMNS, asked), _FAILED: failed[asked.model]})
    for table in shown.use_cases:
        for case in table.rows:
            _write(writer, {**about, **_of_case(case), **_values(_CASE_COLUMNS, (table, case))})
        for robust in table.robustness:
            _write(writer, {**about, **_of_damaged(table, robust), **_values(_ROBUST_COLUMNS, robust)})
    for gate in shown.gates:
        _write(writer, {**about, "model": gate.model, "profile": _GATE, **_values(_GATE_COLUMNS, gate)})
    return out.getvalue()


def _of_case(row: CaseRow) -> dict[str, Any]:
    """What is told of a model's tests too, of one use case."""
    outcomes = {column: row.counted(outcome) for column, outcome in _OUTCOME_COLUMNS.items()}
    calls, rate = row.calls, row.pass_rate
    spreads = {"ttft": calls.ttft_s, "e2e": calls.e2e_s}
    times = {f"{name}_p50_s": found.p50.value for name, found in spreads.items() if found}
    times |= {f"{name}_p95_s": found.p95 for name, found in spreads.items() if found}
    return {
        "model": row.model,
        "profile": _USED,
        "ttft_n": calls.ttft_s and calls.ttft_s.p50.n,
        "decode_p50_tokens_per_s": calls.decode_tps and calls.decode_tps.p50.value,
        **times,
        "tests": row.n,
        **outcomes,
        "pass_rate_share": rate and rate.value,
        "pass_rate_low_share": rate and rate.low,
        "pass_rate_high_share": rate and rate.high,
        "replies": calls.replies,
        "prompt_tokens": calls.prompt_tokens,
        "completion_tokens": calls.completion_tokens,
        "robustness_share": row.robustness and row.robustness.value,
        "cost_subject_usd": _usd(calls.costs.subject),
        "cost_judge_usd": _usd(calls.costs.judge),
        "cost_failed_usd": _usd(calls.costs.failed),
        _FAILED: calls.costs.failed.calls,
        "calls_of_unknown_cost": calls.costs.total.unknown,
        "replayed": calls.costs.total.replayed,
        "taken_over": calls.costs.total.taken_over,
        "cached": calls.costs.total.cached,
    }


def _of_damaged(table: CaseTable, row: RobustRow) -> dict[str, Any]:
    """Which model, use case and samples a row about damaged inputs is of."""
    return {
        "model": row.model,
        "profile": _DAMAGED,
        "use_case": table.name,
        "use_case_page": table.page,
        "prompt": row.prompt,
        "tests": row.asked,
        "cost_subject_usd": _usd(row.costs.subject),
        "cost_judge_usd": _usd(row.costs.judge),
        "cost_failed_usd": _usd(row.costs.failed),
        _FAILED: row.costs.failed.calls,
    }


def _values(columns: Mapping[str, Callable[[Any], Any]], row: object) -> dict[str, Any]:
    return {name: read(row) for name, read in columns.items()}


def _write(writer: Any, values: Mapping[str, Any]) -> None:
    writer.writerow([safe_cell(values.get(name)) for name in COLUMNS])


def _usd(spent: Spent) -> str | None:
    """Decimal text; None where nothing was asked, or nobody told of any call."""
    is_unknown = spent.calls and spent.unknown + spent.replayed + spent.cached == spent.calls and spent.unknown
    return None if not spent.calls or is_unknown else spent.usd


def _statistic(row: ModelRow, metric: str, statistic: str) -> float | None:
    return next((getattr(found, statistic) for found in row.metrics if found.name == metric), None)
