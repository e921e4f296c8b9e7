"""Token counts and bills of OpenAI-compatible providers, who agree on little more than the names.

Ours are always alike: `prompt_tokens` are all tokens of the prompt, cached ones included, and `completion_tokens` all
that were generated, reasoning included. Where a provider counts one of them apart, its own total gives it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pytest_llmbench.clients.decoded import count, is_number, total
from pytest_llmbench.records import Usage

_XAI_TICK_USD = Decimal("1e-10")
_LONGEST_BILL = 40
"""Characters, and places behind the point: what is longer is nonsense, and would be written out in full."""
_DEAREST = 20
"""The same before the point; in ticks of 1e-10 $ bills are long."""

_Told = Mapping[str, Any]


def usage_of(told: _Told, timings: Mapping[str, float]) -> Usage:
    """The counts of one call.

    Args:
        told: the provider's `usage` object.
        timings: llama.cpp's, which count where `usage` says nothing.
    """
    cached, written = _cached(told), _written(told)
    prompt, completion = count(told.get("prompt_tokens")), count(told.get("completion_tokens"))
    reasoning = count(_details(told, "completion").get("reasoning_tokens"))
    if prompt is not None and completion is not None:
        prompt, completion, reasoning = _inclusive(
            prompt,
            completion,
            reasoning,
            outside=_outside(told, prompt, completion),
            cache=(cached or 0) + (written or 0),
        )
    cache_n, prompt_n = (count(timings.get(name)) for name in ("cache_n", "prompt_n"))
    return Usage(
        prompt_tokens=total(prompt_n, cache_n) if prompt is None else prompt,
        completion_tokens=count(timings.get("predicted_n")) if completion is None else completion,
        cached_tokens=cache_n if cached is None else cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        billed_usd=billed_usd(told),
    )


def billed_usd(told: _Told) -> str | None:
    """What the provider says the call cost, in US dollars as decimal text; None where it says nothing usable."""
    cost = told.get("cost")
    billed = _money(cost.get("total_cost") if isinstance(cost, dict) else cost)  # Perplexity's is an object
    if told.get("is_byok") is True and billed is not None:  # OpenRouter's own fee; the upstream bills the rest
        upstream = _money(_object(told, "cost_details").get("upstream_inference_cost"))
        billed = None if upstream is None else billed + upstream
    if billed is None and (ticks := _money(told.get("cost_in_usd_ticks"))) is not None:
        billed = ticks * _XAI_TICK_USD
    return None if billed is None else format(billed, "f")


def _outside(told: _Told, prompt: int, completion: int) -> int:
    """How many tokens the provider's total has beyond prompt and completion."""
    whole = count(told.get("total_tokens"))
    return 0 if whole is None else max(0, whole - prompt - completion)


def _inclusive(
    prompt: int, completion: int, reasoning: int | None, *, outside: int, cache: int
) -> tuple[int, int, int | None]:
    """Prompt, completion and reasoning tokens, with what was counted apart put to where it belongs.

    Args:
        prompt: as told.
        completion: as told.
        reasoning: as told.
        outside: what the total has beyond `prompt` and `completion`.
        cache: tokens read from the cache and written to it.
    """
    if outside and outside == cache and outside != reasoning:
        prompt += cache
    elif outside:  # xAI and Gemini do not count reasoning among the completion, Gemini does not even name it
        completion += outside
        reasoning = outside if reasoning is None else reasoning
    if cache > prompt:
        prompt += cache
    if reasoning is not None and reasoning > completion:
        completion += reasoning
    return prompt, completion, reasoning


def _cached(told: _Told) -> int | None:
    """Tokens read from the cache, by the names of OpenAI, DeepSeek, Moonshot and gateways to Anthropic."""
    names = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    return _first(_details(told, "prompt").get("cached_tokens"), *(told.get(name) for name in names))


def _written(told: _Told) -> int | None:
    details = _details(told, "prompt")
    names = ("cache_write_tokens", "cache_creation_tokens")
    return _first(*(details.get(name) for name in names), told.get("cache_creation_input_tokens"))


def _first(*values: Any) -> int | None:
    return next((found for value in values if (found := count(value)) is not None), None)


def _details(told: _Told, kind: str) -> _Told:
    return _object(told, f"{kind}_tokens_details")


def _object(told: _Told, name: str) -> _Told:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _money(value: Any) -> Decimal | None:
    """A number as its decimal digits stood in the JSON: the shortest digits of a float are those it was read from."""
    if not (is_number(value) or isinstance(value, str)):
        return None
    text = str(value)
    try:
        amount = Decimal(text) if len(text) <= _LONGEST_BILL else Decimal("NaN")
    except InvalidOperation:
        return None
    if amount.is_zero():
        return Decimal(0)
    return amount if amount.is_finite() and amount > 0 and -_LONGEST_BILL < amount.adjusted() < _DEAREST else None
