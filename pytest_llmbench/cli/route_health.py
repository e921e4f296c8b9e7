"""How the models of a route fared last, in words and as JSON: what the newest run that asked each has stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_llmbench.store.model_health import ModelHealth

_UNITS = ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min"))
"""From so many seconds on, in units of so many."""


def health_words(health: ModelHealth, now: datetime) -> str:
    """`lab/j, 5 min ago: breaker open; begins nothing for 12 s; 40 replies, 2.1 s each; 3 failed (server 3)`.

    Args:
        health: of a model.
        now: with its time zone.
    """
    age, told = _age(_seconds(health.at, now)), "; ".join(_parts(health, now))
    return f"{health.model}, {age} ago: {told} (run {health.run_id})"


def health_json(health: ModelHealth) -> Mapping[str, Any]:
    """The same for programs; times in ISO 8601, UTC."""
    lane = health.lane
    return {
        "model": health.model,
        "run": health.run_id,
        "at": health.at,
        "breaker": lane.breaker if lane else None,
        "held_until": (lane.held_until or None) if lane else None,
        "limit": lane.limit if lane else None,
        "answered": health.answered,
        "latency_s": health.latency_s,
        "failed": dict(health.failed),
    }


def _parts(health: ModelHealth, now: datetime) -> Iterator[str]:
    if health.lane is not None:
        yield f"breaker {health.lane.breaker}"
        if health.lane.held_until and (held_s := -_seconds(health.lane.held_until, now)) > 0:
            yield f"begins nothing for {_age(held_s)}"
    each = "" if health.latency_s is None else f", {health.latency_s:.2g} s each"
    yield f"{health.answered:,} {'reply' if health.answered == 1 else 'replies'}{each}"
    if health.failed:
        kinds = ", ".join(f"{category} {count:,}" for category, count in health.failed.items())
        yield f"{sum(health.failed.values()):,} failed ({kinds})"


def _seconds(moment: str, now: datetime) -> float:
    """Since a moment; below 0: it is still to come."""
    at = datetime.fromisoformat(moment)
    return (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()


def _age(seconds: float) -> str:
    """`38 s`, `5 min`, `3 h`, `12 days`."""
    size, unit = next(((size, unit) for least, size, unit in _UNITS if seconds >= least), (1, "s"))
    return f"{max(0.0, seconds) / size:.0f} {unit}"
