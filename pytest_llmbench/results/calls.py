"""Speed and price of calls, summed up: what the replies that were scored took and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.records import Reply, Run, Series
from pytest_llmbench.results.costs import Costs, Ledger, amount_of
from pytest_llmbench.stats import Estimate, mean_estimate, median_estimate

_METRICS = ("ttft_s", "e2e_s", "decode_tps")


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity over calls, in the unit of its metric; percentiles are nearest-rank."""

    p50: Estimate
    p95: float


@dataclass(frozen=True, slots=True)
class CallsOf:
    """The calls of one model on a use case: those of the models under test, not those of judges and probes."""

    replies: int
    ttft_s: Spread | None
    """Of streamed replies; None where none was measured."""
    e2e_s: Spread | None
    decode_tps: Spread | None
    prompt_tokens: int | None
    """Of all together; None where the server told none."""
    completion_tokens: int | None
    costs: Costs
    """Of everything: judges and failed attempts too."""
    cost_per_sample_usd: Estimate | None
    """Mean over the samples of which every call's cost is known, failed attempts among them; what a cassette answered
    counts as it was recorded. None where none is known."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was called for one sample."""

    reply_ids: Sequence[str]
    test_keys: Sequence[str]
    weight: float = 1.0


class Calls:
    """The replies of a run, looked up by who asked."""

    def __init__(self, run: Run) -> None:
        self._replies = {reply.id: reply for reply in run.replies}
        self._ledger = Ledger(run)

    def of(self, batches: Sequence[Batch]) -> CallsOf:
        """What the calls for some samples took and cost together."""
        subject = [reply for batch in batches for reply in self._subject(batch)]
        measured = self._measured(subject)
        ids = [each for batch in batches for each in batch.reply_ids]
        keys = [each for batch in batches for each in batch.test_keys]
        return CallsOf(
            replies=len(subject),
            ttft_s=_spread(measured["ttft_s"]),
            e2e_s=_spread(measured["e2e_s"]),
            decode_tps=_spread(measured["decode_tps"]),
            prompt_tokens=_total(reply.usage.prompt_tokens for reply in subject),
            completion_tokens=_total(reply.usage.completion_tokens for reply in subject),
            costs=self._ledger.of(ids, keys),
            cost_per_sample_usd=self._cost_per_sample(batches),
        )

    def _subject(self, batch: Batch) -> list[Reply]:
        found = (self._replies.get(id_) for id_ in batch.reply_ids)
        return [reply for reply in found if reply is not None and reply.role == "subject"]

    def _cost_per_sample(self, batches: Sequence[Batch]) -> Estimate | None:
        priced = [(self.cost_of(batch), batch.weight) for batch in batches]
        known = [(float(cost), weight) for cost, weight in priced if cost is not None]
        return mean_estimate([cost for cost, _ in known], [weight for _, weight in known])

    def cost_of(self, batch: Batch) -> Decimal | None:
        """What the model under test cost for one sample; None where a part of it is not known, or nothing was asked."""
        replies = self._subject(batch)
        failed = [attempt.cost for attempt in self._ledger.failed(batch.test_keys) if attempt.role == "subject"]
        amounts = [amount_of(cost) for cost in (*(reply.cost for reply in replies), *failed)]
        if not replies or None in amounts:
            return None
        return sum((amount for amount in amounts if amount is not None), Decimal(0))

    def _measured(self, replies: Sequence[Reply]) -> dict[str, list[float]]:
        measured: dict[str, list[float]] = {metric: [] for metric in _METRICS}
        for reply in replies:
            for name, value in call_metrics(reply.timing, reply.usage).items():
                if name in measured and math.isfinite(value) and (name == "e2e_s" or reply.streamed):
                    measured[name].append(value)
        return measured


def _spread(values: Sequence[float]) -> Spread | None:
    median = median_estimate(values)
    return None if median is None else Spread(median, Series("", "", tuple(values)).p95)


def _total(counts: Iterable[int | None]) -> int | None:
    told = [count for count in counts if count is not None]
    return sum(told) if told else None
