"""How the line before one model stands: its limit, what holds it up, whether its breaker is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_llmbench.records.record import Record

Breaker = Literal["closed", "half-open", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState(Record):
    """Of one model of one account, at one moment; counts are of the process that asks, from its beginning."""

    model: str
    """As users write it."""
    account: str = ""
    """A fingerprint of the key; empty without one."""
    limit: int = 0
    """How many requests may be under way at once, now."""
    in_flight: int = 0
    waiting: int = 0
    """Questions that are neither answered nor under way."""
    held_until: str = ""
    """Before then nothing begins, because the provider said so; ISO 8601, UTC. Empty: nothing holds it up."""
    breaker: Breaker = "closed"
    opened: int = 0
    """How often the breaker opened."""
    cuts: int = 0
    """How often the limit was cut, because the provider refused requests for their rate."""
    retries: int = 0
    """Attempts beyond the first of their questions."""
    retries_left: float | None = None
    """How many more the retry budget allows now; None: it knows no bound."""
    at: str = ""
    """When it was so; ISO 8601, UTC."""
