"""Limits on what was measured of a reply: time, speed, tokens, cost; and why it ended.

What was not measured is unscored, never within a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_llmbench.records import Reply
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.plain import texts_of
from pytest_llmbench.validators.scorer import Parse, Plain, Scorer, Validator, Where, keys_of, unscored, verdict

Measure = Callable[[Reply], float | None]


def _limit(measure: Measure, key: str, what: str) -> Parse:
    """A validator of one limit, whose key says its unit: `latency: {at_most_s: 5}`."""
    lowest = key.startswith("at_least")

    def parse(argument: Any, where: Where) -> Scorer:
        limit = keys_of(argument, where, {key: float}).get(key)
        if limit is None:
            raise where.error("needs its limit", hint=f"write {{{key}: ...}}")
        if not 0 <= limit < 1e12:
            raise where.at(key).error("must be a number from 0 up")
        return Plain(lambda material: _within(material, measure, limit, what, lowest=lowest))

    return parse


def _within(material: Material, measure: Measure, limit: float, what: str, *, lowest: bool) -> Score:
    if material.reply is None:
        return unscored("there is a text only, nothing that was measured")
    value = measure(material.reply)
    if value is None:
        return unscored(f"{what} was not measured")
    passed = value >= limit if lowest else value <= limit
    asked = "at least" if lowest else "at most"
    return verdict(passed, f"{what} {value:.4g}, asked: {asked} {limit:g}", measured=value, limit=limit)


def _cost_usd(reply: Reply) -> float | None:
    amount = reply.cost.amount
    return None if amount is None else float(amount)


def _decode_tps(reply: Reply) -> float | None:
    """Tokens after the first over the time they took, as the metric `decode_tps` is defined."""
    tokens, first, last = reply.usage.completion_tokens, reply.timing.ttft_s, reply.timing.last_token_s
    if tokens is None or first is None or last is None or tokens < 2 or last <= first:
        return None
    return (tokens - 1) / (last - first)


def _finish_reason(argument: Any, where: Where) -> Scorer:
    wanted = texts_of(argument, where) or ("stop",)

    def judge(material: Material) -> Score:
        if material.reply is None or not material.reply.finish_reason:
            return unscored("why the reply ended is not known")
        reason = material.reply.finish_reason
        return verdict(reason in wanted, f"the reply ended by {reason!r}, asked: {' or '.join(wanted)}")

    return Plain(judge)


TABLE = (
    Validator(
        "latency",
        "request to last token, in seconds",
        _limit(lambda reply: reply.timing.e2e_s, "at_most_s", "e2e_s"),
        {"at_most_s": 5},
    ),
    Validator(
        "ttft",
        "request to first token, in seconds",
        _limit(lambda reply: reply.timing.ttft_s, "at_most_s", "ttft_s"),
        {"at_most_s": 0.5},
    ),
    Validator(
        "cost", "what the call cost, in US dollars", _limit(_cost_usd, "at_most_usd", "cost_usd"), {"at_most_usd": 0.01}
    ),
    Validator(
        "tokens",
        "that the model wrote",
        _limit(lambda reply: reply.usage.completion_tokens, "at_most", "completion_tokens"),
        {"at_most": 200},
    ),
    Validator("tokens-per-second", "decoding speed", _limit(_decode_tps, "at_least", "decode_tps"), {"at_least": 20}),
    Validator("finish-reason", "why the reply ended: `stop` where none is named", _finish_reason, ["stop", "length"]),
)
