"""What there is to see of one call to a model: how it begins, how it ends, and what is no call but worth knowing.

An attempt is a call: a request that is tried three times makes three, each with a number of its own. Records hold what
is known anyway, by reference, so that making one costs next to nothing; what is written of it, and how it is made safe
for that, is a matter of the observer.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote, urlsplit

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, InfraError, LlmbenchError
from pytest_llmbench.records import Cost, Reply, ToolCall, Usage
from pytest_llmbench.records.asked import UNKNOWN_COST

CURRENT: ContextVar[Mapping[str, str]] = ContextVar("llmbench_call_headers")
"""Of the call that this task makes: headers that its observers want sent along, on hops we own; unset without any."""


NO_USAGE = Usage()


class Outcome(StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    CACHED = "cached"
    """From the response cache: nothing was sent."""
    FAILED = "failed"
    CANCELLED = "cancelled"


class Level(StrEnum):
    """How much a line of the log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Kind(StrEnum):
    """What a note is about."""

    level: Level
    meaning: str
    """For docs/reference/request-log.md."""

    def __new__(cls, value: str, level: Level, meaning: str) -> Self:
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.level = level
        kind.meaning = meaning
        return kind

    BREAKER_OPENED = "breaker_opened", Level.WARNING, "A model failed so often that it is left alone for a while."
    BREAKER_STAYED_OPEN = "breaker_stayed_open", Level.WARNING, "The question that tried found the model still failing."
    BREAKER_HALF_OPEN = "breaker_half_open", Level.INFO, "One question tries whether the model answers again."
    BREAKER_CLOSED = "breaker_closed", Level.INFO, "The model answers again."
    RETRIES_SPENT = "retries_spent", Level.WARNING, "The run's budget for second attempts is spent."
    GIVEN_UP = "given_up", Level.ERROR, "A call that was to be tried again is not; `details` name it."
    BATCH_SUBMITTED = "batch_submitted", Level.INFO, "Questions were handed to a provider's batch API."
    BATCH_LOOKED_AT = "batch_looked_at", Level.INFO, "How a batch stands; `details` have the provider's word for it."
    BATCH_LOST = "batch_lost", Level.WARNING, "The provider never had a batch, or has it no more."
    RATE_CUT = "rate_cut", Level.WARNING, "Fewer requests at once, for the provider refused some."
    FELL_BACK = "fell_back", Level.WARNING, "Another model of a route was asked."
    ALIKE = "alike", Level.INFO, "A question got the reply to another one that was held for the same."
    CACHE_ERROR = "cache_error", Level.WARNING, "The response cache could not be read or written."
    ALERT_RAISED = "alert_raised", Level.ERROR, "A threshold of `alerts:` was crossed."
    ALERT_CLEARED = "alert_cleared", Level.INFO, "What an alert was raised for is over."
    OBSERVER_FAILED = "observer_failed", Level.WARNING, "The log or the traces could not be written."
    LOG_LOST = "log_lost", Level.WARNING, "Lines of the log could not be written: the disk was full."


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegun:
    """A call that begins. Texts in it are as they were given: not redacted."""

    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """32 hexadecimal digits; this attempt's own."""
    run_id: str
    test_key: str
    sample: str = ""
    """The sample's id; empty for a test without one."""
    trial: int = 0
    """How many times this test asked the same before."""
    attempt: int = 1
    """Which attempt at the same question it is, from 1."""
    role: str = "subject"
    """`subject`, `judge` or `chat`."""
    use_case: str = ""
    model: str
    """As users write it."""
    model_id: str = ""
    """As its server calls it."""
    provider: str = ""
    """Empty for a model of this machine."""
    account: str = ""
    """A fingerprint of the key; empty without one."""
    format: str = "openai"
    """The wire format."""
    base_url: str = field(default="", repr=False)
    """As it is configured: a password may stand in it; see `host`."""
    request_hash: str = ""
    begun_at: str = field(default_factory=lambda: clock.now().isoformat())
    """ISO 8601, UTC."""
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = True
    messages: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    """What is asked, for observers that keep contents."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further fields of the request's body."""
    profile: str = ""
    """Of a request that was timed: how the model was measured; empty for all others."""
    measurement: str = ""
    """The measurement that it belongs to."""
    repetition: int | None = None
    """Which of the measurement's repetitions it is; negative: a warm-up, which none is made of."""
    batch: str = ""
    """Of a question that was asked through a batch API: the provider's name of the batch."""

    def begun(self, base_url: str, attempt: int) -> Self:
        """The same call as it begins now: an attempt of its own, asked there."""
        call_id, begun_at = uuid.uuid4().hex, clock.now().isoformat()
        return dataclasses.replace(self, base_url=base_url, attempt=attempt, call_id=call_id, begun_at=begun_at)

    @property
    def host(self) -> str:
        """Where it is asked: host and port, nothing else of the URL."""
        return host_of(self.base_url)

    @property
    def correlation_id(self) -> str:
        """`run/test/sample/trial/attempt`, each percent-encoded: the same in log, traces and reports.

        What is measured has its profile and repetition in place of a sample. All that is asked on behalf of a sample
        has the same one, of judges too: `call_id` names one call.
        """
        sample = f"{self.profile}#{self.repetition}" if self.profile else self.sample
        parts = self.run_id, self.test_key, sample, str(self.trial), str(self.attempt)
        return "/".join(quote(part, safe="", errors="replace") for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """A call that ended. Texts in it are as they came: not redacted."""

    call: CallBegun
    outcome: Outcome
    duration_s: float | None
    """From its beginning to its end, on one monotonic clock; None: nothing was sent."""
    ended_at: str = field(default_factory=lambda: clock.now().isoformat())
    category: str = ""
    """What kind of failure it was, see `Category`."""
    status: int | None = None
    """The HTTP status of a failure, where one was received."""
    message: str = ""
    """What went wrong."""
    retry_in_s: float | None = None
    """After how long it is tried again; None: it is not."""
    ttft_s: float | None = None
    served_model: str = ""
    finish_reason: str = ""
    usage: Usage = NO_USAGE
    cost: Cost = UNKNOWN_COST
    text: str = field(default="", repr=False)
    """The answer, or what had come of it, for observers that keep contents."""
    reasoning: str = field(default="", repr=False)
    tool_calls: Sequence[ToolCall] = field(default=(), repr=False)

    @classmethod
    def answered(cls, call: CallBegun, reply: Reply, duration_s: float | None, *, cached: bool = False) -> Self:
        """A call that brought a whole reply.

        Args:
            call: it.
            reply: with its cost.
            duration_s: from its beginning to its end; None: nothing was sent.
            cached: whether the reply came from the response cache.
        """
        return cls(
            call=call,
            outcome=Outcome.CACHED if cached else Outcome.ANSWERED,
            duration_s=duration_s,
            ttft_s=None if cached else reply.timing.ttft_s,
            served_model=reply.served_model,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            cost=reply.cost,
            text=reply.text,
            reasoning=reply.reasoning,
            tool_calls=reply.tool_calls,
        )

    @classmethod
    def broken(
        cls,
        call: CallBegun,
        error: BaseException,
        duration_s: float | None,
        *,
        usage: Usage | None = None,
        cost: Cost = UNKNOWN_COST,
    ) -> Self:
        """A call that brought none.

        Args:
            call: it.
            error: why; what is no `InfraError` is a cancellation, or a fault of ours.
            duration_s: from its beginning to its end.
            usage: what it used all the same, where the provider told.
            cost: what it cost all the same.
        """
        category, message = failure_of(error)
        return cls(
            call=call,
            outcome=Outcome.CANCELLED if category == Category.CANCELLED else Outcome.FAILED,
            duration_s=duration_s,
            category=category,
            status=getattr(error, "status", None),
            message=message,
            usage=usage or NO_USAGE,
            cost=cost,
            text=getattr(error, "partial_text", ""),
        )

    @property
    def level(self) -> Level:
        """How much it matters: a failure that is tried again less than one that is not."""
        if self.outcome is Outcome.FAILED:
            return Level.ERROR if self.retry_in_s is None else Level.WARNING
        return _LEVELS[self.outcome]


@dataclass(frozen=True, slots=True)
class Note:
    """What happened besides calls."""

    kind: Kind
    message: str
    """A sentence for people; what a provider said in it is as it came: not redacted."""
    model: str = ""
    """Whom it is about; empty: all."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Figures of it, builtin types only, units in their names."""
    at: str = field(default_factory=lambda: clock.now().isoformat())
    """ISO 8601, UTC."""


def failure_of(error: BaseException) -> tuple[str, str]:
    """Category and message of what stands for a reply; no category of what could not be sent as it was."""
    if isinstance(error, InfraError):
        return str(error.category), error.message
    if isinstance(error, LlmbenchError):
        return "", error.message
    if isinstance(error, Exception):
        return str(Category.INTERNAL), f"{type(error).__name__}: {error}"
    return str(Category.CANCELLED), "cancelled before its reply was complete"


@lru_cache(maxsize=256)
def host_of(base_url: str) -> str:
    """Host and port of a URL, without user name, password, path and query; `unix` for a socket's."""
    try:
        parts = urlsplit(base_url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme == "http+unix":
        return "unix"
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port}" if port else shown


_LEVELS = {
    Outcome.ANSWERED: Level.INFO,
    Outcome.CACHED: Level.DEBUG,
    Outcome.CANCELLED: Level.WARNING,
}
