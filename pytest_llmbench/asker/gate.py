"""When the next request to a model may begin: its concurrency, its requests and tokens a minute, what headers said."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil

from pytest_llmbench.asker.limits import LONGEST_HOLD_S, SATURATED, START, AdaptiveLimit
from pytest_llmbench.asker.pace import Allowance, PerMinute
from pytest_llmbench.asker.passage import Passage
from pytest_llmbench.asker.rate_headers import REQUESTS, TOKENS, left, retry_after_s
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.records import Limits, Usage

_BYTES_A_TOKEN = 4
_USUAL_ANSWER = 256
"""Tokens expected of an answer whose length nobody bounded."""

_SERVER_FAILURES = frozenset({Category.SERVER, Category.OVERLOADED})
_REFUSALS = frozenset({Category.RATE_LIMITED, Category.OVERLOADED})

SHUT_AFTER_S = 600.0
"""A model that refused everything for so long is not asked for the rest: at one try in every few seconds thousands of
questions would take days to fail."""
_APART_S = 2 * LONGEST_HOLD_S
"""Refusals further apart do not belong together: nobody asked in between."""


def expected_tokens(request: ChatRequest) -> int:
    """Prompt and answer as providers estimate them in advance: characters / 4, and the longest answer."""
    size = sum(len(str(message.get("content", ""))) for message in request.messages)
    return size // _BYTES_A_TOKEN + (request.max_tokens or _USUAL_ANSWER)


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was let through."""

    number: int
    tokens: int
    tokens_before: float
    """Of all that were let through up to it, this one included."""
    at: float
    alone: bool
    """Whether nothing else was under way."""


@dataclass(slots=True)
class Gate:
    """Of one model of one account. All times are seconds of the loop's clock.

    Args:
        declared: what the account may.
        most: requests at once at most, whatever is learned.
        jitter: draws a wait between two bounds.
    """

    declared: Limits
    most: int
    jitter: Callable[[float, float], float] = random.uniform
    limit: AdaptiveLimit = field(init=False)
    passage: Passage = field(init=False)
    sessions: int = 1
    """How many sessions share the account now."""
    waits_until: float = 0.0
    """When the first in line may go, as far as it had to wait."""
    _requests: PerMinute | None = field(init=False)
    _tokens: PerMinute | None = field(init=False)
    _left: dict[str, Allowance] = field(init=False)
    _begun: int = 0
    _begun_tokens: float = 0.0
    _refused_since: float | None = None
    """The first refusal since the last answer, while it was being asked."""
    _refused_at: float = 0.0
    """The last one."""
    _shut: tuple[float, InfraError] | None = None
    """Until when nothing is asked, and the refusal that led to it."""
    _is_limited: bool = True
    """Whether nothing begins because of a limit; else a server failed and asked to wait."""
    _used_up_at: float = -1.0
    """When the limit was last found used up."""
    _wants_tokens: bool = field(init=False)

    def __post_init__(self) -> None:
        declared = self.declared
        self.most = min(self.most, declared.concurrency or self.most)
        self.limit = AdaptiveLimit(self.most, self.most if declared.concurrency else START)
        self.passage = Passage(self.jitter)
        self._requests = None if declared.requests_per_minute is None else PerMinute(declared.requests_per_minute)
        self._tokens = None if declared.tokens_per_minute is None else PerMinute(declared.tokens_per_minute)
        self._left = {REQUESTS: Allowance(), TOKENS: Allowance()}
        self._wants_tokens = self._tokens is not None

    def share(self, sessions: int) -> None:
        """So many sessions use the account now: each has its part."""
        self.sessions = sessions
        self.limit.most = max(1, self.most // sessions)
        if self._requests is not None and self.declared.requests_per_minute is not None:
            self._requests.most = self.declared.requests_per_minute / sessions
        if self._tokens is not None and self.declared.tokens_per_minute is not None:
            self._tokens.most = self.declared.tokens_per_minute / sessions

    def tokens_of(self, request: ChatRequest) -> int:
        """What a request counts against limits of tokens; 0 while there are none."""
        return expected_tokens(request) if self._wants_tokens else 0

    def wait_s(self, tokens: int, now: float) -> float:
        """How long the next request has to wait for anything but others' ends; 0 where it may go."""
        wait_s = max(0.0, self.limit.held_until - now)
        wait_s = max(wait_s, self._left[REQUESTS].wait_s(1, now))
        if self._requests is not None:
            wait_s = max(wait_s, self._requests.wait_s(1, now))
        if tokens:
            wait_s = max(wait_s, self._left[TOKENS].wait_s(tokens, now))
            if self._tokens is not None:
                wait_s = max(wait_s, self._tokens.wait_s(tokens, now))
        return wait_s

    def begin(self, tokens: int, in_flight: int, now: float) -> Begun:
        """A request goes.

        Args:
            tokens: from `tokens_of`.
            in_flight: how many are under way, this one included.
            now: seconds.
        """
        self._begun += 1
        self._begun_tokens += tokens
        self._left[REQUESTS].take(1)
        self._left[TOKENS].take(tokens)
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        if in_flight >= SATURATED * self.limit.now:
            self._used_up_at = now
        self.passage.begins(in_flight, now)
        return Begun(self._begun, tokens, self._begun_tokens, now, in_flight == 1)

    def read_headers(self, begun: Begun, headers: Mapping[str, str], now: float) -> None:
        """A response's headers came."""
        for each in left(headers):
            since = self._begun - begun.number if each.kind == REQUESTS else self._begun_tokens - begun.tokens_before
            self._left[each.kind].told(begun.number, each, now, since)
            self._wants_tokens = self._wants_tokens or each.kind == TOKENS

    def succeeded(self, begun: Begun, usage: Usage, now: float, *, first: bool) -> None:
        """It was answered.

        Args:
            begun: from `begin`.
            usage: of the reply.
            now: seconds.
            first: whether it was the first attempt at its question.
        """
        self._refused_since = self._shut = None
        if first and self._used_up_at >= begun.at:
            self.limit.succeeded(now)
        if self._tokens is not None:
            used = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            self._tokens.correct(used - begun.tokens, now)

    def failed(self, begun: Begun, error: InfraError, now: float) -> None:
        """It failed."""
        asked_s = retry_after_s(error.headers) if isinstance(error, WireError) else None
        if error.category is Category.RATE_LIMITED:
            self._is_limited = True
            self.limit.refused(begun.at, now, asked_s, alone=begun.alone)
        elif error.category in _SERVER_FAILURES:
            self._is_limited = self._is_limited and asked_s is None
            self.limit.server_failed(now, asked_s)
        if error.category in _REFUSALS:
            self._note_refusal(error, asked_s or 0.0, now)

    def refused(self, error: InfraError, others: int, now: float) -> None:
        """A request that was refused for the rate is under way no more.

        Args:
            error: the refusal.
            others: how many are under way still.
            now: seconds.
        """
        asked_s = retry_after_s(error.headers) if isinstance(error, WireError) else None
        self.limit.hold(now, self.passage.refused(others, now, asked_s))

    def shut_by(self, now: float) -> InfraError | None:
        """The refusal because of which nothing is asked now; None where asking may help."""
        return self._shut[1] if self._shut is not None and now < self._shut[0] else None

    def _note_refusal(self, error: InfraError, asked_s: float, now: float) -> None:
        if self._refused_since is None or now - self._refused_at > _APART_S:
            self._refused_since = now
        self._refused_at = now
        if asked_s > LONGEST_HOLD_S:
            self._shut = now + asked_s, error
        elif now - self._refused_since >= SHUT_AFTER_S:
            self._shut = now + LONGEST_HOLD_S, error

    def state(self, now: float, waiting: int) -> str:
        """What holds it up, in words; empty where nothing does. May be called from any thread."""
        if not waiting:
            return ""
        held_s, wait_s = self.limit.held_until - now, self.waits_until - now
        if held_s > 0:
            why = "rate limited" if self._is_limited else "failed and asked to wait"
            return f"{why}, goes on in {ceil(held_s)} s"
        return f"at its limit a minute, goes on in {ceil(wait_s)} s" if wait_s > 0 else ""
