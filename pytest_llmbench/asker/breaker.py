"""A model that fails is left alone for a while, then tried by one question: the circuit breaker of one line.

Only failures of the machinery count: 5xx, timeouts, connections. A refusal for the rate (429) or of the request (4xx)
shows that the server is there.

- **closed**: all is well. Ten failures among the last twenty attempts of ten minutes, of five different requests at
  least, open it: a share of one half, as in other breakers (resilience4j), and more than one poisoned request can do.
  Where questions come one by one: two different ones that were given up, no answer since, and a third one that fails.
- **open**: nothing is sent; questions wait in line. For 5 s at first, twice as long each time, a minute at most; half
  of it at random, and never shorter than `Retry-After` says.
- **half-open**: one question goes, one that has not failed before where there is one. Its answer closes the breaker,
  its failure opens it for longer. Nobody else goes until it is over, however it ends.

A model that was there before is waited for up to a patience. One that never was (a wrong address, a server that does
not run) is given up as soon as one question would be: after `attempts` tries, 0.5, 1, 2 ... s apart. Questions then
fail at once until the next one may try. Half an answer is no answer, but who sent one was there: it is waited for where
it cannot be reached now, and given up after `attempts` tries where it sends halves only.

Where it was opened one by one, and nobody is there to try but those who failed alike again and again, they may be at
fault themselves, as those before them may have been: ten failures of five requests say that the model is ill, three
requests in a row do not. The first two wait for 40 s each, then one for 80, one for 160, and whoever comes next tries
at once: an outage loses few, some poisoned requests in a row do not take for ever, and take no others along. Where
several ask at once and many are poisoned all wait until patience ends; once, for then the model answers the next one.
All times are seconds of the loop's monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from enum import StrEnum
from math import ceil, inf

from pytest_llmbench.asker.limits import LONGEST_HOLD_S
from pytest_llmbench.errors import Category, InfraError

AILING = frozenset(
    {
        Category.SERVER,
        Category.OVERLOADED,
        Category.TIMEOUT_CONNECT,
        Category.TIMEOUT_TTFT,
        Category.TIMEOUT_IDLE,
        Category.TIMEOUT_TOTAL,
        Category.NETWORK_DNS,
        Category.NETWORK_REFUSED,
        Category.NETWORK_RESET,
        Category.STREAM_TRUNCATED,
        Category.STREAM_ERROR_EVENT,
    }
)
"""What a model that is ill shows: its server fails, is silent, or cannot be reached."""

LIVELY = frozenset(
    {
        Category.AUTH,
        Category.QUOTA_EXHAUSTED,
        Category.RATE_LIMITED,
        Category.INVALID_REQUEST,
        Category.CONTEXT_LENGTH,
        Category.CONTENT_FILTER,
        Category.MODEL_MISSING,
    }
)
"""What only a server that works says."""

FAILURES = 10
PAYLOADS = 5
WINDOW = 20
WINDOW_S = 600.0
"""So many failures, of so many different requests, among so many attempts of so many seconds."""

LOST = 2
"""After so many different requests that were given up in a row, with no answer since, the failure of one more opens."""

ALONE_S = 40.0
"""So long the first two wait who may be at fault themselves; each after them twice as long."""

OTHERS_ILL = 5
"""Where one in so many others fails, a request is not at fault by itself."""

_BASE_S = 5.0
_UNKNOWN_BASE_S = 0.5
"""For a model that never answered."""
_LONGEST_S = 60.0

_CONFLICT = 409


class State(StrEnum):
    """Of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


def ails(error: InfraError) -> bool:
    """Whether a failure counts against its model."""
    return error.category in AILING and getattr(error, "status", None) != _CONFLICT


def _is_half(error: InfraError) -> bool:
    """Whether the beginning of an answer had come."""
    return bool(getattr(error, "partial_text", ""))


class Breaker:
    """Of one model of one account; belongs to the loop's thread.

    Args:
        name: of the model.
        attempts: after how many tries one that never was there is given up.
        patience_s: how long one that was there is waited for.
        jitter: draws a wait between two bounds.
    """

    def __init__(self, name: str, attempts: int, patience_s: float, jitter: Callable[[float, float], float]) -> None:
        self.closed = True
        """Whether all is well."""
        self.opened = 0
        """How often it was opened from closed."""
        self._name = name
        self._attempts = attempts
        self._patience_s = patience_s
        self._jitter = jitter
        self._outcomes: deque[tuple[float, str]] = deque(maxlen=WINDOW)
        """When an attempt ended, and which request failed; empty: it did not."""
        self._lost: set[str] = set()
        """Which requests were given up since the last answer."""
        self.was_there = False
        """Whether it has ever answered, or said why it does not."""
        self._has_begun = False
        """Whether it has ever sent the beginning of an answer."""
        self._is_waited_for = False
        self._counts_from = 0
        """The first request that counts: those sent before it closed last are of the past."""
        self._probe: int | None = None
        self._tries = 0
        """In this outage."""
        self._doublings = 0
        """Of the wait: tries since the outage began, or since somebody was let go."""
        self._is_surely_ill = False
        """Whether the window opened it: so many different requests are not all at fault."""
        self._was_mistaken = False
        """Whether they were, once: given up, it answered the next one at once."""
        self._failed_before = 0
        """Tries of those who were given up one by one before it opened."""
        self._let_go = 0
        """How many were let go in this outage that may be at fault themselves."""
        self._since = 0.0
        self._until = 0.0
        self._last = "", Category.SERVER
        """With what it failed last: message and category."""
        self._is_given_up = False

    def wait_s(self, now: float) -> float:
        """How long nothing may begin; 0 where the next one may; endless while one tries."""
        if self._probe is not None:
            return inf
        return 0.0 if self.closed else max(0.0, self._until - now)

    @property
    def state(self) -> State:
        """Closed, open, or half open while one request tries."""
        if self.closed:
            return State.CLOSED
        return State.OPEN if self._probe is None else State.HALF_OPEN

    def begins(self, number: int) -> bool:
        """A request begins, by its number; whether it is the one that tries."""
        if self.closed or self._probe is not None:
            return False
        self._probe = number
        return True

    def lives(self, number: int, now: float) -> bool:
        """The server answered a request, or said why it does not; whether that closed it."""
        self.was_there = True
        if self.closed:
            if number >= self._counts_from:
                self._outcomes.append((now, ""))
                self._lost.clear()
            return False
        if number != self._probe:  # it was sent before
            return False
        self._was_mistaken = self._was_mistaken or (self._is_given_up and not self._until)
        self.closed, self._probe, self._is_given_up = True, None, False
        self._counts_from = number
        self._outcomes.clear()
        self._lost.clear()
        return True

    def fails(
        self,
        number: int,
        payload: str,
        error: InfraError,
        retry_after_s: float | None,
        now: float,
        *,
        in_a_row: bool = False,
    ) -> bool:
        """A request failed in a way that counts.

        Args:
            number: of the request.
            payload: what was asked, the same for the same request.
            error: how it failed.
            retry_after_s: how long the server asks to stay away; None where it does not say.
            now: seconds.
            in_a_row: whether those before it failed for good, so that this failure is enough.

        Returns:
            Whether that opened it.
        """
        # A server that says that it is busy is there.
        self.was_there = self.was_there or error.category is Category.OVERLOADED
        self._has_begun = self._has_begun or _is_half(error)
        if self.closed:
            if number < self._counts_from:
                return False
            self._outcomes.append((now, payload))
            is_ill = self._is_ill(now)
            if not (is_ill or in_a_row):
                return False
            self._since, self._is_surely_ill = now, is_ill and not self._was_mistaken
            self._tries = self._doublings = self._let_go = 0
            self._failed_before = 0 if is_ill else len([each for each in self._recent(now) if each]) - 1
            self.opened += 1
        elif number != self._probe:
            return False
        self._open(error, retry_after_s, now)
        return True

    def ends(self, number: int, now: float) -> None:
        """A request ended in a way that says nothing: broken off, or a fault of ours."""
        if number == self._probe:
            self._probe = None
            self._until = now + self._jitter(_UNKNOWN_BASE_S / 2, _UNKNOWN_BASE_S)

    def forget(self, payload: str) -> None:
        """A request is at fault itself: what it did says nothing about the model."""
        self._outcomes = deque(((at, each) for at, each in self._outcomes if each != payload), maxlen=WINDOW)

    def loses(self, payload: str) -> None:
        """A request was given up after all its tries, and nothing was answered meanwhile."""
        if self.closed:
            self._lost.add(payload)

    def lost_without(self, payload: str) -> int:
        """How many other requests were given up since the last answer."""
        return len(self._lost - {payload})

    def lets_go(self, waited_s: float, now: float) -> bool:
        """Whether one that may be at fault itself has waited long enough; then whoever comes next may try at once.

        Never where the window opened it: then all wait as long as there is patience.

        Args:
            waited_s: how long it has.
            now: seconds.
        """
        wait_s = waited_s + self.held_s(now)
        if self.closed or self._is_surely_ill or wait_s <= ALONE_S * 2.0 ** min(max(self._let_go - 1, 0), 10):
            return False
        self._let_go += 1
        self._doublings, self._until = 0, now
        return True

    def makes_way(self) -> None:
        """It is given up by few, who may be at fault themselves: a few more may try, each at once."""
        if self._let_go < (FAILURES if self._is_waited_for else PAYLOADS - LOST):
            self._let_go += 1
            self._until = 0.0

    def is_ill_without(self, payloads: Collection[str], now: float) -> bool:
        """Whether others fail, too: it is not closed, or of the other requests one in five failed lately.

        Those that were given up one by one do not count: they say as much about themselves.

        Args:
            payloads: all names under which failures of the request itself were told.
            now: seconds.
        """
        if not self.closed:
            return True
        recent = self._recent(now)
        failed = len({each for each in recent if each} - {*payloads, *self._lost})
        return failed * OTHERS_ILL >= failed + recent.count("") and failed > 0

    def refusal(self, now: float) -> InfraError | None:
        """Why nothing is asked and nobody waits; None where something is, or waiting may help."""
        if self._is_given_up and self.state is State.OPEN and now < self._until:
            return self.not_asked(now)
        return None

    def not_asked(self, now: float) -> InfraError:
        """The failure of a question that is not asked, because the model fails; only of one that is not closed."""
        resume = "--resume asks again"
        if self._is_waited_for:
            why, hint = f"it has been failing for {now - self._since:.0f} s", "ask again later with --resume"
        elif self._has_begun:
            why, hint = "it has never answered in full", f"its server runs, see what it logs; {resume}"
        else:
            why, hint = "it has never answered", f"check its address, and whether the server runs; {resume}"
        message, category = self._last
        return InfraError(f"{self._name} was not asked: {why}, last with: {message}", category=category, hint=hint)

    def held_s(self, now: float) -> float:
        """How long nothing begins, as far as that is known; may be called from any thread."""
        return max(0.0, self._until - now) if self.state is State.OPEN else 0.0

    def words(self, now: float) -> str:
        """What holds the line up; empty where nothing does. May be called from any thread."""
        if self.closed:
            return ""
        wait_s = self.held_s(now)
        return f"failing, tried again in {ceil(wait_s)} s" if wait_s > 0 else "failing, being tried again"

    def _is_ill(self, now: float) -> bool:
        recent = self._recent(now)
        failed = [payload for payload in recent if payload]
        return len(failed) >= FAILURES and len(set(failed)) >= PAYLOADS

    def _recent(self, now: float) -> list[str]:
        return [payload for at, payload in self._outcomes if now - at <= WINDOW_S]

    def _open(self, error: InfraError, retry_after_s: float | None, now: float) -> None:
        base_s = _BASE_S if self.was_there or self._has_begun else _UNKNOWN_BASE_S
        longest_s = min(_LONGEST_S, base_s * 2.0 ** min(self._doublings, 10))
        told_s = min(retry_after_s or 0.0, LONGEST_HOLD_S)
        self.closed, self._probe = False, None
        self._last = error.message, error.category
        self._tries += 1
        self._doublings += 1
        self._until = now + max(told_s, self._jitter(longest_s / 2, longest_s))
        out_of_patience_at = self._since + self._patience_s
        self._is_waited_for = self.was_there or (self._has_begun and not _is_half(error))
        self._is_given_up = now >= out_of_patience_at
        if not self._is_waited_for:
            self._is_given_up = self._is_given_up or self._tries + self._failed_before >= self._attempts
        if not self._is_given_up:  # the last try is the one with which patience ends
            self._until = min(self._until, max(out_of_patience_at, now + told_s))
