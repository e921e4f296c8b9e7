"""Amounts of money for readers."""

from __future__ import annotations

from decimal import Decimal

UNKNOWN = "unknown"
"""How an amount is called that nobody told: it is not 0."""


def money(usd: Decimal | None) -> str:
    """`$12.40`, `$0.0034`: US dollars, with two digits that tell something; an unknown amount is `unknown`."""
    if usd is None:
        return UNKNOWN
    if usd == 0 or abs(usd) >= Decimal("0.0995"):
        return "$0" if usd == 0 else f"${usd:,.2f}"
    rounded = Decimal(f"{usd:.1e}")
    return f"${format(rounded, 'f').rstrip('0')}"
