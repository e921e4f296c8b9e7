"""Gates over use cases: a rule over a metric of one model on one use case → what was found about it.

Rates and means have their intervals from the samples, as the tables show them; what single calls took (`ttft_s`,
`e2e_s`, `decode_tps`) is decided as a measurement is. A cost that is partly unknown keeps no limit: it is inconclusive,
or failed where what is known lies beyond the limit already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from pytest_llmbench.config import Gate
from pytest_llmbench.metrics import METRICS, OF_USE_CASES, call_metrics
from pytest_llmbench.records import Outcome, Reply, Run, Series, TestResult
from pytest_llmbench.results.advice import advice_of
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.finding import Finding
from pytest_llmbench.results.gates import Told, describe, finding, is_named, of_series, unmatched
from pytest_llmbench.results.robustness import is_clean, robustness
from pytest_llmbench.results.under_gates import rows_of
from pytest_llmbench.results.use_cases import CaseRow, pass_rate_of, score_of, tables
from pytest_llmbench.stats import Estimate, Interval, share_estimate
from pytest_llmbench.stats.limits import ALPHA, estimate_against

_ADVICE = "ask more samples"
_JUDGED = frozenset({"pass_rate", "score", "robustness"})
"""Metrics in which judges have a say."""
_UNKNOWN = Told(math.nan, Interval(-math.inf, math.inf, 0.95), 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """A gate, and the use cases it is for."""

    use_case: str
    """A glob."""
    gate: Gate
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


def rules_of(gates: Iterable[Gate]) -> list[Rule]:
    """The rules of llmbench.yaml for metrics that only use cases have; what is their `profile` names use cases."""
    return [Rule(each.profile, each) for each in gates if each.metric in OF_USE_CASES]


def findings(rules: Sequence[Rule], run: Run) -> list[Finding]:
    """Hold every rule against every model of the use cases it is for; regressions are held in `regressions.py`.

    Args:
        rules: of use cases, and of llmbench.yaml.
        run: with its results and replies.

    Returns:
        One for each rule and row, in order; one that cannot be decided where none matches.
    """
    return [each for found in by_rule(rules, run) for each in found]


def by_rule(rules: Sequence[Rule], run: Run, *, is_sure: bool = True) -> list[list[Finding]]:
    """As `findings`, a list for each rule; `is_sure`: whether a rule has to speak of something."""
    absolute = [rule for rule in rules if rule.gate.regression is None]
    if not absolute:
        return []
    asked = _grouped(run)
    rows = [
        _Row(table.name, table.page, row, asked.get((table.name, table.page, row.model, row.prompt), ()))
        for table in sorted(tables(run), key=lambda table: (table.name, table.page))
        for row in sorted(table.rows, key=lambda row: (row.model, row.prompt))
    ]
    replies = {reply.id: reply for reply in run.replies}
    found = [[_decided(rule, each, replies) for each in rows if _speaks_of(rule, each)] for rule in absolute]
    return [some or ([_unmatched(rule)] if is_sure else []) for rule, some in zip(absolute, found, strict=True)]


def _grouped(run: Run) -> dict[tuple[str, ...], list[Asked]]:
    groups: dict[tuple[str, ...], list[Asked]] = {}
    for each in (asked for case in by_case(run.results) for asked in case):
        groups.setdefault((each.found.use_case, each.found.page, each.model, each.found.prompt), []).append(each)
    return groups


def _speaks_of(rule: Rule, row: _Row) -> bool:
    is_for = row.page == rule.page if rule.page else fnmatchcase(row.use_case, rule.use_case)
    return is_for and is_named(rule.gate.model, row.row.model)


def _unmatched(rule: Rule) -> Finding:
    where = "" if rule.use_case == "*" else f"{rule.use_case}: "
    return unmatched(rule.gate, where + describe(rule.gate), rule.use_case)


def _decided(rule: Rule, row: _Row, replies: dict[str, Reply]) -> Finding:
    gate, words = rule.gate, f"{row.use_case}, {row.row.name}: {describe(rule.gate)}"
    who = {"model": row.row.name, "profile": row.use_case, "advice": _ADVICE, "rule": words}
    found = finding(gate, _told(gate, row, replies), **who)
    is_advised = gate.metric in _JUDGED and any(one.found.advised for one in row.all_asked)
    if not found.broken or not is_advised:
        return found
    bound = finding(gate, _without_advice(gate.metric, row), **who)
    if bound.broken and bound.p_value < ALPHA:
        return replace(found, p_value=max(found.p_value, bound.p_value))  # both have to be sure of it
    advice = advice_of(score for one in row.all_asked for score in one.found.scores)
    return replace(found, advisory=advice or "only judges that advise say so")


def of_rows(gate: Gate, results: Iterable[TestResult]) -> list[Finding]:
    """Hold a gate of the pass rate against tests once per row of a dataset, of no use case: a row, a verdict.

    Args:
        gate: of the tests' mark; its `profile` is the name of the test.
        results: of the tests that are marked with it.
    """
    groups: dict[tuple[str, str], list[bool]] = {}
    for result in results:
        name = rows_of(result)
        is_told = result.outcome in {Outcome.RIGHT, Outcome.WRONG}
        if name and is_told and fnmatchcase(name, gate.profile) and is_named(gate.model, result.model):
            groups.setdefault((name, result.model), []).append(result.outcome == Outcome.RIGHT)
    return [
        finding(
            gate,
            _of_estimate(share_estimate(verdicts, [1.0] * len(verdicts))),
            model=model,
            profile=name,
            advice="ask more rows",
            rule=f"{name}, {model}: {describe(gate)}",
        )
        for (name, model), verdicts in sorted(groups.items())
    ]


def _without_advice(metric: str, row: _Row) -> Told:
    """What is told where judges that only advise say nothing."""
    if metric == "robustness":
        return _of_estimate(robustness(row.all_asked, bound=True))
    if metric == "pass_rate":
        return _of_estimate(pass_rate_of((one.bound_passed, one.weight, one.document) for one in row.asked))
    return _of_estimate(score_of((one.bound_value, one.weight, one.document) for one in row.asked))


def _told(gate: Gate, row: _Row, replies: dict[str, Reply]) -> Told:
    metric = gate.metric
    if metric in {"pass_rate", "score", "robustness"}:
        return _of_estimate(getattr(row.row, metric))
    if metric == "unscored_rate":
        return _of_estimate(_unscored(row.row))
    if metric == "error_rate":
        return _of_estimate(_share(row.row.counted(Outcome.INFRA_ERROR), row.row.n))
    if metric == "cost_usd":
        return _of_estimate(row.row.calls.cost_per_sample_usd, _doubt(row.row))
    if metric == "total_cost_usd":
        return _total(row.row)
    return of_series(_series(metric, row, replies), gate.statistic)


def _of_estimate(estimate: Estimate | None, doubt: str = "") -> Told:
    if estimate is None:
        return Told(_UNKNOWN.value, _UNKNOWN.interval, 0, doubt)
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return Told(estimate.value, Interval(low, high, 0.95), estimate.n, doubt, test=partial(estimate_against, estimate))


def _unscored(row: CaseRow) -> Estimate | None:
    answered = sum(map(row.counted, (Outcome.RIGHT, Outcome.WRONG, Outcome.UNSCORED)))
    return _share(row.counted(Outcome.UNSCORED), answered)


def _share(count: int, n: int) -> Estimate | None:
    return share_estimate([True] * count + [False] * (n - count), [1.0] * n)


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
