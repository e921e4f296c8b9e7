"""Whether a failed request is tried again, and when: by what failed, with full jitter, and never for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pytest_llmbench.asker.limits import LONGEST_HOLD_S
from pytest_llmbench.asker.rate_headers import may_retry, retry_after_s
from pytest_llmbench.errors import Category, InfraError, WireError

RATE = frozenset({Category.RATE_LIMITED, Category.OVERLOADED})
"""Not now: nothing was generated, and the request itself is all right."""

PASSING = RATE | {
    Category.SERVER,
    Category.TIMEOUT_CONNECT,
    Category.TIMEOUT_TTFT,
    Category.TIMEOUT_IDLE,
    Category.TIMEOUT_TOTAL,
    Category.NETWORK_DNS,
    Category.NETWORK_REFUSED,
    Category.NETWORK_RESET,
    Category.STREAM_TRUNCATED,
    Category.STREAM_MALFORMED,
    Category.STREAM_ERROR_EVENT,
    Category.LOCAL_SOCKETS,
}
"""Where trying again may help."""

_BY_THE_PAYLOAD = frozenset({Category.SERVER, Category.STREAM_MALFORMED, Category.STREAM_ERROR_EVENT})
"""What a request that a server cannot stand looks like: always the same failure, while others are answered."""

SAME = 3
"""So often the same failure, while the model answers others well: the request is at fault."""

OTHERS = 10
"""So many others have to be answered meanwhile, and no more than one attempt in so many of theirs may have failed."""

REFUSED_FOR_S = 300.0
"""How long a request may be refused for the rate before it is given up; the limit is adapting meanwhile."""

_BASE_S = 0.5
_LONGEST_S = 30.0


class Tally(NamedTuple):
    """What came of all attempts at one model so far."""

    answered: int
    failed: int
    """Refusals for the rate not among them."""


_NOTHING = Tally(0, 0)


@dataclass(slots=True)
class History:
    """How one question failed so far."""

    failures: int = 0
    """Attempts that count."""
    refusals: int = 0
    refused_since: float = 0.0
    before: Tally = _NOTHING
    """Of the model when this question failed for the first time."""
    same: int = 0
    """How often the last failure came in a row."""
    _last: tuple[Category, int | None, str] | None = None

    def add(self, error: InfraError, now: float, tally: Tally) -> None:
        """One more failure.

        Args:
            error: how.
            now: seconds.
            tally: of the model, this failure not counted.
        """
        if not (self.failures or self.refusals):
            self.before = tally
        if error.category in RATE:
            self.refused_since = self.refused_since if self.refusals else now
            self.refusals += 1
            return
        self.failures += 1
        seen = (error.category, getattr(error, "status", None), error.message)
        self.same = self.same + 1 if seen == self._last else 1
        self._last = seen


@dataclass(frozen=True, slots=True)
class Retry:
    """The rules."""

    attempts: int
    """How often a request is tried that fails; 1: never again, whatever it was."""
    jitter: Callable[[float, float], float] = random.uniform

    def delay_s(self, history: History, error: InfraError, now: float, tally: Tally) -> float | None:
        """How long to wait before the next attempt, in seconds; None: it is given up.

        Args:
            history: of this question, this failure included.
            error: the failure.
            now: seconds.
            tally: of the model, this failure not counted.
        """
        headers = error.headers if isinstance(error, WireError) else {}
        told, asked_s = may_retry(headers), retry_after_s(headers)
        if self.attempts == 1 or told is False or (error.category not in PASSING and told is not True):
            return None
        if asked_s is not None and asked_s > LONGEST_HOLD_S:
            return None
        if error.category in RATE:
            return self._after_refusal(history, asked_s, now)
        if history.failures >= self.attempts or self._is_the_payload(history, error, tally):
            return None
        return max(asked_s or 0.0, self._backoff_s(history.failures))

    def _after_refusal(self, history: History, asked_s: float | None, now: float) -> float | None:
        if now - history.refused_since >= REFUSED_FOR_S and history.refusals >= self.attempts:
            return None
        # Those that were refused together come back apart.
        return (asked_s or 0.0) + self._backoff_s(history.refusals)

    def _backoff_s(self, number: int) -> float:
        return self.jitter(0.0, min(_LONGEST_S, _BASE_S * 2.0 ** min(number - 1, 10)))

    @staticmethod
    def _is_the_payload(history: History, error: InfraError, tally: Tally) -> bool:
        answered = tally.answered - history.before.answered
        others_failed = tally.failed - history.before.failed - (history.failures - 1)
        others_are_well = answered >= OTHERS and others_failed * OTHERS <= answered
        return error.category in _BY_THE_PAYLOAD and history.same >= SAME and others_are_well


def not_asked(name: str, refusal: InfraError) -> InfraError:
    """The failure of a question to a model that refuses everything."""
    return InfraError(
        f"{name} was not asked, for it refuses everything: {refusal.message}",
        category=refusal.category,
        hint="ask again later with --resume",
    )


def given_up(error: InfraError, tries: int) -> str:
    """What is to be said besides the failure itself of a question that is not asked again."""
    asked_s = retry_after_s(error.headers) if isinstance(error, WireError) else None
    if asked_s is not None and asked_s > LONGEST_HOLD_S:
        return f" (it asks to stay away for {asked_s:.0f} s, longer than the {LONGEST_HOLD_S:.0f} s that are waited)"
    return f" (tried {tries} times)" if tries > 1 else ""
