"""Gates over use cases: a rule over a metric of one model on one use case → pass, fail or inconclusive.

Rates and means have their intervals from the samples, as the tables show them; what single calls took (`ttft_s`,
`e2e_s`, `decode_tps`) is decided as a measurement is. A cost that is partly unknown keeps no limit: it is inconclusive,
or failed where what is known lies beyond the limit already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pytest_llmbench.config import Threshold
from pytest_llmbench.metrics import METRICS, OF_USE_CASES, call_metrics
from pytest_llmbench.records import GateResult, Outcome, Reply, Run, Series
from pytest_llmbench.results.advice import advice_of
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.gates import (
    ADVISORY,
    FAIL,
    Told,
    amount,
    bound,
    decide,
    describe,
    of_series,
    unmatched,
)
from pytest_llmbench.results.robustness import is_clean, robustness
from pytest_llmbench.results.use_cases import CaseRow, pass_rate_of, score_of, tables
from pytest_llmbench.stats import Estimate, Interval, wilson

_ADVICE = "ask more samples"
_JUDGED = frozenset({"pass_rate", "score", "robustness"})
"""Metrics in which judges have a say."""
_UNKNOWN = Told(math.nan, Interval(-math.inf, math.inf, 0.95), 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold, and the use cases it is for."""

    use_case: str
    """A glob."""
    threshold: Threshold
    page: str = ""
    """Of this page's use case alone; empty: whatever is called so."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One model on one use case."""

    use_case: str
    page: str
    row: CaseRow
    all_asked: Sequence[Asked]
    """With damaged inputs, too."""

    @property
    def asked(self) -> list[Asked]:
        """As they are."""
        return list(filter(is_clean, self.all_asked))


def rules_of(thresholds: Iterable[Threshold]) -> list[Rule]:
    """The rules of llmbench.yaml for metrics that only use cases have; what is their `profile` names use cases."""
    return [Rule(each.profile, each) for each in thresholds if each.metric in OF_USE_CASES]


def evaluate(rules: Sequence[Rule], run: Run) -> list[GateResult]:
    """Hold every rule against every model of the use cases it is for.

    Args:
        rules: of use cases, and of llmbench.yaml.
        run: with its results and replies.
    """
    if not rules:
        return []
    asked = _grouped(run)
    rows = [
        _Row(table.name, table.page, row, asked.get((table.name, table.page, row.model, row.prompt), ()))
        for table in tables(run)
        for row in table.rows
    ]
    replies = {reply.id: reply for reply in run.replies}
    decided: list[GateResult] = []
    for rule in rules:
        found = [each for each in rows if _speaks_of(rule, each)]
        decided += [_decided(rule, each, replies) for each in found] or [_unmatched(rule)]
    return decided


def _grouped(run: Run) -> dict[tuple[str, ...], list[Asked]]:
    groups: dict[tuple[str, ...], list[Asked]] = {}
    for each in (asked for case in by_case(run.results) for asked in case):
        groups.setdefault((each.found.use_case, each.found.page, each.model, each.found.prompt), []).append(each)
    return groups


def _speaks_of(rule: Rule, row: _Row) -> bool:
    names = {row.row.model, row.row.model.partition(" (")[0]}  # with and without where it was requantized from
    wanted = rule.threshold.model
    is_for = row.page == rule.page if rule.page else fnmatchcase(row.use_case, rule.use_case)
    return is_for and any(fnmatchcase(name, wanted) for name in names)


def _described(rule: Rule, use_case: str) -> str:
    """The rule in words; a rate has no percentiles."""
    threshold = rule.threshold
    if threshold.metric not in OF_USE_CASES:
        return f"{use_case}: {describe(threshold)}"
    sign, limit = bound(threshold)
    return f"{use_case}: {threshold.metric} {sign} {amount(limit, METRICS[threshold.metric].unit)}"


def _unmatched(rule: Rule) -> GateResult:
    return unmatched(rule.threshold, _described(rule, rule.use_case), rule.use_case)


def _decided(rule: Rule, row: _Row, replies: dict[str, Reply]) -> GateResult:
    told = _told(rule.threshold, row, replies)
    gate = _described(rule, f"{row.use_case}, {row.row.name}")
    who = {"model": row.row.name, "profile": row.use_case, "advice": _ADVICE, "gate": gate}
    found = decide(rule.threshold, told, **who)
    if (
        found.verdict != FAIL
        or rule.threshold.metric not in _JUDGED
        or not any(one.found.advised for one in row.all_asked)
    ):
        return found
    if decide(rule.threshold, _without_advice(rule.threshold.metric, row), **who).verdict == FAIL:
        return found
    advice = advice_of(score for one in row.all_asked for score in one.found.scores)
    return replace(found, verdict=ADVISORY, reason=f"{found.reason}; {advice}")


def _without_advice(metric: str, row: _Row) -> Told:
    """What is told where judges that only advise say nothing."""
    if metric == "robustness":
        return _of_estimate(robustness(row.all_asked, bound=True))
    if metric == "pass_rate":
        return _of_estimate(pass_rate_of((one.bound_passed, one.weight) for one in row.asked))
    return _of_estimate(score_of((one.bound_value, one.weight) for one in row.asked))


def _told(threshold: Threshold, row: _Row, replies: dict[str, Reply]) -> Told:
    metric = threshold.metric
    if metric in {"pass_rate", "score", "robustness"}:
        return _of_estimate(getattr(row.row, metric))
    if metric == "unscored_rate":
        return _unscored(row.row)
    if metric == "cost_usd":
        return _of_estimate(row.row.calls.cost_per_sample_usd, _doubt(row.row))
    if metric == "total_cost_usd":
        return _total(row.row)
    return of_series(_series(metric, row, replies), threshold.statistic)


def _of_estimate(estimate: Estimate | None, doubt: str = "") -> Told:
    if estimate is None:
        return Told(_UNKNOWN.value, _UNKNOWN.interval, 0, doubt)
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return Told(estimate.value, Interval(low, high, 0.95), estimate.n, doubt)


def _unscored(row: CaseRow) -> Told:
    answered = sum(map(row.counted, (Outcome.RIGHT, Outcome.WRONG, Outcome.UNSCORED)))
    if not answered:
        return _UNKNOWN
    unscored = row.counted(Outcome.UNSCORED)
    return Told(unscored / answered, wilson(unscored, answered), answered)


def _total(row: CaseRow) -> Told:
    spent = row.calls.costs.total
    if not spent.calls or spent.unknown == spent.calls:
        return Told(math.nan, _UNKNOWN.interval, 0, _doubt(row))
    value = float(spent.usd)
    return Told(value, Interval(value, value, 1.0), spent.calls, _doubt(row))


def _doubt(row: CaseRow) -> str:
    spent = row.calls.costs.total
    return f"of {spent.unknown} of {spent.calls} calls nobody knows the cost" if spent.unknown else ""


def _series(metric: str, row: _Row, replies: dict[str, Reply]) -> Series:
    """What each call of the model under test took."""
    called = [replies[each] for asked in row.asked for each in asked.reply_ids if each in replies]
    measured = (
        call_metrics(reply.timing, reply.usage).get(metric)
        for reply in called
        if reply.role == "subject" and (reply.streamed or metric == "e2e_s")
    )
    values = tuple(value for value in measured if value is not None and math.isfinite(value))
    return Series(metric, METRICS[metric].unit, values)
