"""Tests of replies summed up by model: how many were right, how sure that is, how long it took, what it cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Outcome, Reply, Run, Series, TestResult
from pytest_llmbench.results.costs import Costs, Ledger
from pytest_llmbench.stats.intervals import wilson


@dataclass(frozen=True, slots=True)
class AskedRow:
    """One model and the tests of its replies; times in seconds."""

    model: str
    n: int
    """Tests, skipped ones not among them."""
    right: int
    wrong: int
    unscored: int
    infra_errors: int
    over_budget: int
    pending: int
    test_errors: int
    skipped: int
    pass_rate: float | None
    """right / (right + wrong): what has no score, or was only measured, is not in it. None where nothing has one."""
    pass_rate_low: float | None
    """95 % interval (Wilson)."""
    pass_rate_high: float | None
    replies: int
    """As a model under test."""
    judged: int
    """Replies that it gave as a judge."""
    is_judge: bool
    """Whether it was asked to judge, also where it never answered."""
    retried: int
    """Replies that took more than one attempt."""
    ttft_p50_s: float | None
    e2e_p50_s: float | None
    e2e_p95_s: float | None
    prompt_tokens: int | None
    """Of all its replies; None where the server told none."""
    completion_tokens: int | None
    costs: Costs
    """As subject and as judge, and of failed attempts."""

    @property
    def unanswered(self) -> int:
        """Tests that say nothing about the model."""
        return self.infra_errors + self.over_budget + self.pending + self.unscored + self.test_errors

    @property
    def was_asked(self) -> bool:
        """Whether it was asked anything, as far as money allowed it."""
        return bool(self.replies or self.is_judge) or self.n > self.over_budget

    @property
    def only_judged(self) -> bool:
        """Whether no test is about it: then it has costs, and no results."""
        return self.is_judge and not (self.n or self.skipped or self.replies)


def asked_rows(run: Run, ledger: Ledger) -> tuple[AskedRow, ...]:
    """A row for each model whose replies were tested, in the order in which they came.

    Empty where neither samples nor paid calls are in the run: the list of tests says it all.
    """
    results = [result for result in run.results if result.model and _is_of_a_reply(result) and _counts(result)]
    if not ledger.is_shown and not any(result.sample for result in results):
        return ()
    costs = ledger.by_model()
    tested: dict[str, list[TestResult]] = {}
    for result in results:
        tested.setdefault(result.model, []).append(result)
    answered: dict[str, list[Reply]] = {}
    for reply in _replies_to_tests(run):
        answered.setdefault(reply.model, []).append(reply)
    judged = Counter(reply.model for reply in run.replies if reply.role == "judge")
    judged.update({attempt.model: 0 for attempt in run.failed_attempts if attempt.role == "judge"})
    return tuple(
        _row(model, tested.get(model, ()), answered.get(model, ()), costs.get(model, Costs()), judged.get(model))
        for model in {**tested, **costs}
    )


def _is_of_a_reply(result: TestResult) -> bool:
    return bool(result.sample) or not result.measurement_ids


def _counts(result: TestResult) -> bool:
    """Whether a rate of the model's counts it: neither damaged inputs nor what is planted to try out a judge."""
    if (found := result.evaluation) is None:
        return True
    return not found.corruption and (found.labelled is None or found.labelled.kind in {"reply", "pair"})


def _is_only_measured(result: TestResult) -> bool:
    found = result.evaluation
    return result.outcome == Outcome.RIGHT and found is not None and found.passed is None and found.value is not None


def _replies_to_tests(run: Run) -> list[Reply]:
    """Neither those of judges and probes nor those that a load asked for."""
    measured = {repetition.reply_id for measurement in run.measurements for repetition in measurement.repetitions}
    return [reply for reply in run.replies if reply.role not in {"judge", "probe"} and reply.id not in measured]


def _row(
    model: str, results: Sequence[TestResult], replies: Sequence[Reply], costs: Costs, judged: int | None
) -> AskedRow:
    ended: Mapping[str, int] = Counter(str(result.outcome) for result in results)
    right, wrong = ended[Outcome.RIGHT], ended[Outcome.WRONG]
    passed = right - sum(1 for result in results if _is_only_measured(result))
    interval = wilson(passed, passed + wrong) if passed + wrong else None
    took = _series([reply.timing.e2e_s for reply in replies])
    first = _series([reply.timing.ttft_s for reply in replies if reply.streamed])
    return AskedRow(
        model=model,
        n=len(results) - ended[Outcome.SKIPPED],
        right=right,
        wrong=wrong,
        unscored=ended[Outcome.UNSCORED],
        infra_errors=ended[Outcome.INFRA_ERROR],
        over_budget=ended[Outcome.OVER_BUDGET],
        pending=ended[Outcome.PENDING],
        test_errors=ended[Outcome.TEST_ERROR],
        skipped=ended[Outcome.SKIPPED],
        pass_rate=passed / (passed + wrong) if interval else None,
        pass_rate_low=interval.low if interval else None,
        pass_rate_high=interval.high if interval else None,
        replies=len(replies),
        judged=judged or 0,
        is_judge=judged is not None,
        retried=sum(1 for reply in replies if reply.attempts > 1),
        ttft_p50_s=first.p50 if first.n else None,
        e2e_p50_s=took.p50 if took.n else None,
        e2e_p95_s=took.p95 if took.n else None,
        prompt_tokens=_total([reply.usage.prompt_tokens for reply in replies]),
        completion_tokens=_total([reply.usage.completion_tokens for reply in replies]),
        costs=costs,
    )


def _series(values: Sequence[float | None]) -> Series:
    return Series("", "s", tuple(value for value in values if value is not None and math.isfinite(value)))


def _total(counts: Sequence[int | None]) -> int | None:
    told = [count for count in counts if count is not None]
    return sum(told) if told else None
