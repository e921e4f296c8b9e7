"""Limits that the provider holds its callers to, and the headers that tell them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

from pytest_llmbench import clock
from pytest_llmbench.demo.forms import Form
from pytest_llmbench.records import Limits


def retry_headers(seconds: float, form: Form) -> dict[str, str]:
    """When to come again. OpenAI's servers tell milliseconds too; HTTP knows whole seconds only."""
    headers = {"Retry-After": str(math.ceil(seconds))}
    return headers if form.name == "anthropic" else {**headers, "retry-after-ms": str(math.ceil(seconds * 1000))}


class Bucket:
    """So many a minute, and so many at once: full at the beginning, refilled all the time.

    Args:
        per_minute: how much comes in.
        burst: how much it holds.
    """

    def __init__(self, per_minute: float, burst: float) -> None:
        self.limit = per_minute
        self._rate = per_minute / 60
        self._burst = burst
        self._held = burst
        self._at = clock.monotonic()

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much is there; never more is asked of it than it holds."""
        self._held = min(self._burst, self._held + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(amount, self._burst) - self._held) / self._rate)

    def take(self, amount: float) -> None:
        self._held -= amount

    @property
    def left(self) -> int:
        return max(0, math.floor(self._held))

    @property
    def full_in_s(self) -> float:
        return (self._burst - self._held) / self._rate


class RateLimit:
    """Requests a minute, tokens a minute, and requests at once, over all models and keys.

    Args:
        limits: what holds; None in it: no such limit.
        burst_s: how many seconds' worth of a limit may come at once; 60 is the usual bucket.
    """

    def __init__(self, limits: Limits, burst_s: float = 60.0) -> None:
        self._concurrency = limits.concurrency
        told = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._buckets = {
            name: Bucket(limit, max(1.0, limit * burst_s / 60)) for name, limit in told.items() if limit is not None
        }

    def refused_s(self, tokens: int, in_flight: int) -> float | None:
        """Take what a request needs; where it is not there, take nothing.

        Args:
            tokens: what it will use at most.
            in_flight: how many requests are under way, this one among them.

        Returns:
            None: it may go on. Otherwise after how many seconds it may come again.
        """
        if self._concurrency is not None and in_flight > self._concurrency:
            return 0.1
        amounts = {"requests": 1.0, "tokens": float(tokens)}
        now = clock.monotonic()
        waits = [bucket.wait_s(amounts[name], now) for name, bucket in self._buckets.items()]
        if any(waits):
            return max(waits)
        for name, bucket in self._buckets.items():
            bucket.take(amounts[name])
        return None

    def headers(self, form: Form) -> Mapping[str, str]:
        """What stands beside every answer."""
        told: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            if form.name == "anthropic":
                at = (clock.now() + timedelta(seconds=bucket.full_in_s)).isoformat(timespec="seconds")
                values = {"limit": f"{bucket.limit:g}", "remaining": str(bucket.left), "reset": at}
                told |= {f"anthropic-ratelimit-{name}-{what}": text for what, text in values.items()}
            else:
                values = {"limit": f"{bucket.limit:g}", "remaining": str(bucket.left), "reset": _span(bucket.full_in_s)}
                told |= {f"x-ratelimit-{what}-{name}": text for what, text in values.items()}
        return told


def _span(seconds: float) -> str:
    """As OpenAI writes it: `1m12.5s`, `20ms`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:.3f}s" if minutes else f"{rest:.3f}s"
