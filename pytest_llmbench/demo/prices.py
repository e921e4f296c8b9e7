"""What demo models cost: all the same, so that sums can be checked in one's head."""

from __future__ import annotations

from decimal import Decimal

from pytest_llmbench.records import Price

PRICE = Price(
    input="0.000001",
    output="0.000004",
    cached="0.0000001",
    cache_write="0.00000125",
    source="demo",
    as_of="2026-01-01",
)


def cost_usd(prompt: int, completion: int, cached: int, written: int) -> float:
    """What a call is billed at.

    Args:
        prompt: all prompt tokens, cached and written ones among them.
        completion: all completion tokens.
        cached: prompt tokens read from the cache.
        written: prompt tokens written to the cache.
    """
    plain = prompt - cached - written
    parts = ((plain, PRICE.input), (completion, PRICE.output), (cached, PRICE.cached), (written, PRICE.cache_write))
    return float(sum(count * Decimal(price) for count, price in parts))
