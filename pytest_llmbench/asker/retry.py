"""Whether a failed request is tried again, and when: by what failed, with full jitter, and never for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.asker.limits import LONGEST_HOLD_S
from pytest_llmbench.asker.payloads import SAME, Shape, shape_of
from pytest_llmbench.asker.rate_headers import may_retry, retry_after_s
from pytest_llmbench.errors import Category, InfraError, WireError

RATE = frozenset({Category.RATE_LIMITED, Category.OVERLOADED})
"""Not now: nothing was generated, and the request itself is all right."""

NEVER_SENT = frozenset(
    {Category.TIMEOUT_CONNECT, Category.NETWORK_DNS, Category.NETWORK_REFUSED, Category.LOCAL_SOCKETS}
)

BY_THE_PAYLOAD = frozenset(
    {
        Category.SERVER,
        Category.TIMEOUT_TTFT,
        Category.TIMEOUT_IDLE,
        Category.TIMEOUT_TOTAL,
        Category.NETWORK_RESET,
        Category.STREAM_TRUNCATED,
        Category.STREAM_MALFORMED,
        Category.STREAM_ERROR_EVENT,
    }
)
"""What a request that a server cannot stand looks like: it was sent, and fails in the same way each time."""

PASSING = RATE | NEVER_SENT | BY_THE_PAYLOAD
"""Where trying again may help."""

_SETTLED = frozenset({Category.AUTH, Category.QUOTA_EXHAUSTED})
"""Where trying again never helps, whatever the provider says: the next request has the same key and account."""

REFUSED_FOR_S = 300.0
"""How long a request may be refused for the rate before it is given up; the limit is adapting meanwhile."""

HASTY_S = 10.0
"""The same where another model is asked in its place: waiting for minutes would help nobody."""

_BASE_S = 0.5
_LONGEST_S = 30.0
_DECIDING_S = 2.0, 4.0
"""Before the attempt that decides whether the request is at fault, so that a server that fails for a second is not
taken for a request that always does."""

MOST_SPARED = 10
"""So many failures of one question are put down to outages of its model; further ones count."""


@dataclass(slots=True)
class History:
    """How one question failed so far."""

    failures: int = 0
    """Attempts that count."""
    refusals: int = 0
    refused_since: float = 0.0
    spared: int = 0
    """Failures that do not count: the model was ill."""
    error: InfraError | None = None
    """The last one."""
    answered_before: int = 0
    failed_before: int = 0
    """Attempts of others at its model until it failed for the first time."""
    alike: int = 0
    """How often in a row it failed in the same way, where that may be the doing of what is asked."""
    ill_since: float = 0.0
    """When it first failed in the last outage of its model that it was in."""
    _shape: Shape | None = None
    _outages: int = 0

    @property
    def times(self) -> int:
        """How often it failed in all."""
        return self.failures + self.refusals + self.spared

    def add(self, error: InfraError, now: float, *, outages: int = 0, ill: bool = False) -> None:
        """One more failure.

        Args:
            error: how.
            now: seconds.
            outages: how many its model had so far; what failed before one began was its beginning.
            ill: whether the model is known to fail now.
        """
        self.error = error
        if outages != self._outages:
            self.ill_since = now
            if self.spared + self.failures <= MOST_SPARED:
                self.spared += self.failures
                self.failures = 0
        self._outages = outages
        if error.category in BY_THE_PAYLOAD:
            shape = shape_of(error)
            self.alike = self.alike + 1 if shape == self._shape else 1
            self._shape = shape
        if error.category in RATE:
            self.refused_since = self.refused_since if self.refusals else now
            self.refusals += 1
        elif ill and self.spared < MOST_SPARED:
            self.spared += 1
        else:
            self.failures += 1


@dataclass(frozen=True, slots=True)
class Retry:
    """The rules."""

    attempts: int
    """How often a request is tried that fails; 1: never again, whatever it was."""
    jitter: Callable[[float, float], float] = random.uniform

    def delay_s(
        self, history: History, error: InfraError, now: float, *, alike: int = 0, hasty: bool = False
    ) -> float | None:
        """How long to wait before the next attempt, in seconds; None: it is given up.

        Args:
            history: of this question, this failure included.
            error: the failure.
            now: seconds.
            alike: how often in a row the request failed in this way, though its model is well.
            hasty: whether another model is asked where this one is given up.
        """
        if error.category in _SETTLED:
            return None
        headers = error.headers if isinstance(error, WireError) else {}
        told, asked_s = may_retry(headers), retry_after_s(headers)
        if self.attempts == 1 or told is False or (error.category not in PASSING and told is not True):
            return None
        if asked_s is not None and asked_s > LONGEST_HOLD_S:
            return None
        if error.category in RATE:
            return self._after_refusal(history, asked_s, now, hasty=hasty)
        if history.failures >= self.attempts or alike >= SAME:
            return None
        deciding_s = self.jitter(*_DECIDING_S) if alike == SAME - 1 else 0.0
        return max(asked_s or 0.0, self._backoff_s(history.failures), deciding_s)

    def _after_refusal(self, history: History, asked_s: float | None, now: float, *, hasty: bool) -> float | None:
        # Those that were refused together come back apart.
        refused_s, delay_s = now - history.refused_since, (asked_s or 0.0) + self._backoff_s(history.refusals)
        if hasty and refused_s + delay_s > HASTY_S:
            return None
        return None if refused_s >= REFUSED_FOR_S and history.refusals >= self.attempts else delay_s

    def _backoff_s(self, number: int) -> float:
        return self.jitter(0.0, min(_LONGEST_S, _BASE_S * 2.0 ** min(max(number, 1) - 1, 10)))


def not_asked(name: str, refusal: InfraError) -> InfraError:
    """The failure of a question to a model that refuses everything."""
    return InfraError(
        f"{name} was not asked, for it refuses everything: {refusal.message}",
        category=refusal.category,
        hint="ask again later with --resume",
    )


def given_up(error: InfraError, tries: int, why: str = "") -> str:
    """What is to be said besides the failure itself of a question that is not asked again.

    Args:
        error: the failure.
        tries: how often it was asked.
        why: the reason, where it is another than that its attempts are used up.
    """
    asked_s = retry_after_s(error.headers) if isinstance(error, WireError) else None
    if asked_s is not None and asked_s > LONGEST_HOLD_S:
        return f" (it asks to stay away for {asked_s:.0f} s, longer than the {LONGEST_HOLD_S:.0f} s that are waited)"
    told = [f"tried {tries} times"] if tries > 1 else []
    told += [why] if why else []
    return f" ({'; '.join(told)})" if told else ""
