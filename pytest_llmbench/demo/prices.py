"""What demo models cost: all but one the same, so that sums can be checked in one's head."""

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
DEAR = Price(
    input="0.000005",
    output="0.00002",
    cached="0.0000005",
    cache_write="0.00000625",
    source="demo",
    as_of="2026-01-01",
)


def cost_usd(prompt: int, completion: int, cached: int, written: int, price: Price = PRICE) -> float:
    """What a call is billed at.

    Args:
        prompt: all prompt tokens, cached and written ones among them.
        completion: all completion tokens.
        cached: prompt tokens read from the cache.
        written: prompt tokens written to the cache.
        price: of the model.
    """
    plain = prompt - cached - written
    parts = ((plain, price.input), (completion, price.output), (cached, price.cached), (written, price.cache_write))
    return float(sum(count * Decimal(each) for count, each in parts))
