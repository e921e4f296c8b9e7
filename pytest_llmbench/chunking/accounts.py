"""Several calls as one: their usage, times and cost together. What is not known of one is not known of all."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal

from pytest_llmbench.records import Cost, Reply, Timing, Usage
from pytest_llmbench.records.asked import UNKNOWN_COST

_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_CUT_OFF = "length"


def as_one(calls: Sequence[Reply], text: str) -> Reply:
    """A reply with this text that tells of all calls.

    The last call gives what cannot be added: the model served, tool calls, reasoning. An answer of which any part was
    cut off is cut off. It has no time to first token and no pace, because it is no one stream; its time is that of all
    calls one after another, whether they ran so or side by side.

    Args:
        calls: at least one.
        text: what came of them.
    """
    last = calls[-1]
    if len(calls) == 1 and text == last.text:
        return last
    return dataclasses.replace(
        last,
        text=text,
        finish_reason=_CUT_OFF if any(call.finish_reason == _CUT_OFF for call in calls) else last.finish_reason,
        usage=_usage(calls),
        timing=_timing(calls),
        cost=_cost([call.cost for call in calls]),
        attempts=sum(call.attempts for call in calls),
        request_hash=hashlib.sha256("\n".join(call.request_hash for call in calls).encode()).hexdigest(),
        events=(),
        id="",
        request={},
    )


def _usage(calls: Sequence[Reply]) -> Usage:
    usages = [call.usage for call in calls]
    tokens = {name: _sum(getattr(usage, name) for usage in usages) for name in _TOKENS}
    billed = [usage.billed_usd for usage in usages]
    together = None if None in billed else str(sum(Decimal(each or 0) for each in billed))
    return Usage(**tokens, estimated=any(usage.estimated for usage in usages), billed_usd=together)


def _timing(calls: Sequence[Reply]) -> Timing:
    times = [call.timing.e2e_s for call in calls]
    known = [time for time in times if time is not None]
    return Timing(e2e_s=sum(known) if len(known) == len(times) else None)


def _cost(costs: Sequence[Cost]) -> Cost:
    if any(not cost.usd for cost in costs):
        return UNKNOWN_COST
    sources = {cost.source for cost in costs}
    source = sources.pop() if len(sources) == 1 else "priced"
    return Cost(format(sum(Decimal(cost.usd) for cost in costs), "f"), source)


def _sum(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if len(known) == len(listed) else None
