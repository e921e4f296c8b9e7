"""What providers say in headers about their limits: when to come back, and what is left until when.

    retry-after: 20 · retry-after: Wed, 21 Oct 2026 07:28:00 GMT · retry-after-ms: 1500
    x-ratelimit-limit-requests: 60 · x-ratelimit-remaining-requests: 59 · x-ratelimit-reset-requests: 1s, 6m0s, 20ms
    anthropic-ratelimit-requests-limit: 50 · ...-remaining: 49 · ...-reset: 2026-10-21T07:28:00Z
    x-ratelimit-remaining: 0 · x-ratelimit-reset: 1792567680000

The first two tell of a bucket: it fills up all the time, and is full at the reset. The last (OpenRouter, GitHub) tells
of a window: nothing before the reset. Anthropic counts input and output tokens apart, too. What cannot be read is left
out: headers are hints, and a 429 follows where they were wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pytest_llmbench import clock

REQUESTS, TOKENS = "requests", "tokens"

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:d|h|ms|m|s|us|µs|ns))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s|us|µs|ns)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_EPOCH_S = 1e9
"""A larger number is a point in time; a thousand times as large, one in milliseconds."""
_LONGEST = 100
"""Characters of a header that are looked at."""

_KINDS = (
    (REQUESTS, "x-ratelimit-{}-requests"),
    (TOKENS, "x-ratelimit-{}-tokens"),
    (REQUESTS, "anthropic-ratelimit-requests-{}"),
    (TOKENS, "anthropic-ratelimit-tokens-{}"),
    (TOKENS, "anthropic-ratelimit-input-tokens-{}"),
    (TOKENS, "anthropic-ratelimit-output-tokens-{}"),
)
_NAMES = (
    *((kind, *map(name.format, ("remaining", "reset", "limit"))) for kind, name in _KINDS),
    (REQUESTS, "x-ratelimit-remaining", "x-ratelimit-reset", ""),
)
"""(kind, header of what is left, of the reset, of the whole; empty for a window)."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a limit."""

    kind: str
    """`requests` or `tokens`."""
    remaining: float
    reset_s: float
    """From now until it is whole again."""
    refill_per_s: float = 0.0
    """How much comes back a second until then; 0: nothing before."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to stay away, in seconds; None where it does not say."""
    if (exact := _number(headers.get("retry-after-ms", ""))) is not None:
        return exact / 1000
    text = headers.get("retry-after", "")[:_LONGEST].strip()
    if (seconds := _number(text)) is not None:
        return seconds
    at = _date(text)
    return None if at is None else max(0.0, (at - _their_now(headers)).total_seconds())


def may_retry(headers: Mapping[str, str]) -> bool | None:
    """Whether the provider says that trying again helps (`x-should-retry`); None where it does not say."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def left(headers: Mapping[str, str]) -> list[Left]:
    """Every limit of which the response tells both what is left and until when."""
    found = []
    for kind, remaining_name, reset_name, limit_name in _NAMES:
        if remaining_name in headers:
            remaining = _number(headers[remaining_name])
            reset_s = _reset_s(headers.get(reset_name, ""), headers)
            if remaining is not None and reset_s is not None:
                missing = (_number(headers.get(limit_name, "")) or 0.0) - remaining
                found.append(Left(kind, remaining, reset_s, max(0.0, missing) / reset_s if reset_s else 0.0))
    return found


def _reset_s(text: str, headers: Mapping[str, str]) -> float | None:
    text = text[:_LONGEST].strip()
    if (number := _number(text)) is not None:
        return number if number < _EPOCH_S else _until(_from_epoch(number), headers)
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(text))
    return _until(_iso(text), headers)


def _until(at: datetime | None, headers: Mapping[str, str]) -> float | None:
    return None if at is None else max(0.0, (at - _their_now(headers)).total_seconds())


def _their_now(headers: Mapping[str, str]) -> datetime:
    """The provider's time where it tells, so that a clock of ours that is wrong does not matter."""
    return _date(headers.get("date", "")) or clock.now()


def _number(text: str) -> float | None:
    text = text[:_LONGEST].strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _from_epoch(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _EPOCH_S * 1000 else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return None


def _date(text: str) -> datetime | None:
    try:
        return _aware(parsedate_to_datetime(text[:_LONGEST]))
    except (ValueError, TypeError, IndexError):
        return None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
