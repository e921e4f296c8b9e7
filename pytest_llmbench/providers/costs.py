"""What a call costs: as billed, else tokens × price, else unknown; and the most that it can cost."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Cost, Price, Target, Usage
from pytest_llmbench.records.asked import UNKNOWN_COST

BATCH_SHARE = Decimal("0.5")
"""What batch APIs charge of the usual price: half, at OpenAI, Azure, Anthropic and Google alike."""
_NOTHING = Decimal(0)


def call_cost(target: Target, usage: Usage, *, batch: bool = False) -> Cost:
    """What a call to `target` cost: `cost_of`, but that a model of this machine without a price costs nothing."""
    cost = cost_of(usage, target.price, batch=batch)
    if cost.source == "unknown" and target.is_local and not target.price.known:
        return Cost("0", "free")
    return cost


def cost_of(usage: Usage, price: Price, *, batch: bool = False) -> Cost:
    """What a call cost.

    Args:
        usage: what the provider told; `prompt_tokens` holds cached and cache-write tokens, `completion_tokens` the
            reasoning ones. Reasoning tokens beyond `completion_tokens` are taken as counted outside of them.
        price: in US dollars a token.
        batch: whether it went through a batch API, which halves what is not billed.

    Returns:
        `billed` where the provider told, `priced` where tokens and price are known, else `unknown`: estimated tokens
        make no cost.
    """
    if (billed := _billed(usage.billed_usd)) is not None:
        return Cost(_text(billed), "billed")
    if not price.known or usage.estimated:
        return UNKNOWN_COST
    prompt, completion = _prompt(usage, price), _completion(usage, price)
    if prompt is None or completion is None:
        return UNKNOWN_COST
    return Cost(_text((prompt + completion + _each(price.request)) * (BATCH_SHARE if batch else 1)), "priced")


def worst_case(price: Price, prompt_tokens: int, max_tokens: int, *, batch: bool = False) -> Decimal:
    """The most that a call can cost, in US dollars: every token at the dearest price of its kind.

    Args:
        price: in US dollars a token.
        prompt_tokens: at most; see `asker.tokens.upper_bound`.
        max_tokens: of the answer, reasoning included.
        batch: whether it goes through a batch API.

    Raises:
        UsageError: the price is not known.
    """
    if not price.known:
        raise UsageError(
            "what a call can cost is not known: its model has no price",
            hint='declare one in llmbench.yaml, in US dollars for a million tokens: `prices: {"provider/model": '
            "{input: 2.50, output: 10}}`",
        )
    prompt = max(_each(price.input), _each(price.cached), _each(price.cache_write))
    completion = max(_each(price.output), _each(price.reasoning))
    whole = prompt * prompt_tokens + completion * max_tokens + _each(price.request)
    return whole * (BATCH_SHARE if batch else 1)


def _billed(text: str | None) -> Decimal | None:
    """What the provider told; None where it told nothing, or what no call can cost."""
    try:
        amount = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and amount >= 0 else None


def _prompt(usage: Usage, price: Price) -> Decimal | None:
    if usage.prompt_tokens is None:
        return None
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    plain = max(0, usage.prompt_tokens - cached - written)
    return (
        plain * _each(price.input)
        + cached * _each(price.cached or price.input)
        + written * _each(price.cache_write or price.input)
    )


def _completion(usage: Usage, price: Price) -> Decimal | None:
    if usage.completion_tokens is None:
        return None
    reasoning = usage.reasoning_tokens or 0
    answer = usage.completion_tokens - (reasoning if reasoning <= usage.completion_tokens else 0)
    return answer * _each(price.output) + reasoning * _each(price.reasoning or price.output)


def _each(text: str) -> Decimal:
    return Decimal(text) if text else _NOTHING


def _text(amount: Decimal) -> str:
    """Without an exponent and without zeros at its end."""
    return format(amount.normalize(), "f") if amount else "0"
