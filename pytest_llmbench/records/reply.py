"""What a model answered, with its times and tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.errors import ReplyFormatError
from pytest_llmbench.records.asked import CACHED, UNKNOWN_COST, Cost
from pytest_llmbench.records.record import Record


@dataclass(frozen=True, slots=True)
class Usage(Record):
    """Token counts of one call, from the server; never from counting events."""

    prompt_tokens: int | None = None
    """All prompt tokens, cached ones included."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Prompt tokens written to the provider's cache; among `prompt_tokens`."""
    reasoning_tokens: int | None = None
    """Among `completion_tokens`."""
    estimated: bool = False
    """True where the server told nothing and the numbers are our estimate."""
    mean_logprob: float | None = None
    """Mean log-probability of the tokens of the answer, where they were asked for and told."""
    billed_usd: str | None = None
    """What the provider says the call cost, in US dollars as decimal text."""


@dataclass(frozen=True, slots=True)
class Timing(Record):
    """Client-side times of one call, all from one monotonic clock, in seconds."""

    connect_s: float | None = None
    written_s: float | None = None
    """Call → request written: connecting, and waiting for our own event loop."""
    headers_s: float | None = None
    ttft_s: float | None = None
    """Request written → first event with generated text of any kind."""
    ttft_answer_s: float | None = None
    """Request written → first text that is not reasoning."""
    e2e_s: float | None = None
    """Request written → last event."""
    last_token_s: float | None = None
    """Request written → last event with generated text."""
    gaps_s: tuple[float, ...] = ()
    """Raw gaps between events with generated text; an event may carry several tokens."""
    server: Mapping[str, float] = field(default_factory=dict)
    """The server's own timings as it told them (`prompt_ms`, `predicted_ms`, `cache_n`, ...)."""


@dataclass(frozen=True, slots=True)
class ToolCall(Record):
    """A tool that the model called."""

    id: str
    """The provider's; a message of role `tool` answers to it. Empty where none was told."""
    name: str
    """As the model wrote it, which need not be one of those it was given."""
    arguments: str
    """As text, exactly as they were sent; Anthropic's, where they came as an object, as the JSON of it."""

    @property
    def json(self) -> Any:
        """The arguments parsed as JSON.

        Returns:
            The parsed value; objects and arrays raise `ReplyFormatError` for a missing key or index.

        Raises:
            ReplyFormatError: they are not JSON.
        """
        __tracebackhide__ = True
        return _checked_json(
            _loaded(self.arguments, f"the arguments of the call of {self.name[:80]!r} are"), "arguments"
        )


@dataclass(frozen=True, slots=True)
class Alike(Record):
    """Another question that was held for the same."""

    question: str
    """What was asked then."""
    cosine: float
    """How near it is in meaning, by the vectors of both."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Record):
    """What a model answered to one request."""

    text: str
    model: str
    """The model that was asked for, as users name it."""
    served_model: str = ""
    """The model the server says it used."""
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()
    """The tools it called, in their order; of a reply that was cut off, the last one's arguments may be a part."""
    finish_reason: str = ""
    usage: Usage = Usage()
    timing: Timing = Timing()
    cost: Cost = UNKNOWN_COST
    attempts: int = 1
    """How many requests it took; the failed ones are billed too, see `FailedAttempt`. 0: the response cache, or another
    run, had it."""
    role: str = "subject"
    """`subject` or `judge`."""
    request_hash: str = ""
    streamed: bool = False
    events: tuple[str, ...] = field(default=(), repr=False)
    """Raw event payloads, in order of arrival, kept where the caller asked for them."""
    id: str = ""
    """The row in the results database, once stored."""
    alike: Alike | None = field(default=None, compare=False, repr=False)
    """The question whose reply the response cache gave, where that was another one; not stored."""
    request: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was asked (`messages`, `max_tokens`, ...), filled when a run is read back from the store."""

    @property
    def json(self) -> Any:
        """The reply's text parsed as JSON (a Markdown fence around it is taken off).

        Returns:
            The parsed value; objects and arrays raise `ReplyFormatError` for a missing key or index.

        Raises:
            ReplyFormatError: the text is not JSON.
        """
        __tracebackhide__ = True
        return _checked_json(_parse_json(self.text), "reply")

    @property
    def is_cached(self) -> bool:
        """Whether the response cache gave it: then nothing was asked, it has no times, and `cost.paid_at` says when it
        was asked first."""
        return self.cost.source in CACHED

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Reply({self.text!r}, model={self.model!r}, finish_reason={self.finish_reason!r})"


@dataclass(frozen=True, slots=True)
class FailedAttempt(Record):
    """A request that failed, asked once more or not: kept for the account of what went wrong, never scored."""

    model: str
    request_hash: str
    number: int
    """Which attempt at the same request it was, from 1."""
    category: str
    message: str
    partial_text: str
    """What had arrived of the reply; empty where prompts and replies are not kept."""
    at: str
    """When it failed; ISO 8601, UTC."""
    usage: Usage = Usage()
    """What it used all the same, where the provider told."""
    cost: Cost = UNKNOWN_COST
    role: str = "subject"
    test_key: str = ""
    """The test that asked, filled when a run is read back from the store."""


def _parse_json(text: str) -> Any:
    __tracebackhide__ = True  # the reply is at fault, not this code
    body = text.strip()
    if body.startswith("```"):
        body = body.split("\n", 1)[-1].rsplit("```", 1)[0]
    return _loaded(body, "the reply is")


def _loaded(text: str, what: str) -> Any:
    __tracebackhide__ = True
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReplyFormatError(f"{what} not JSON ({error}); the text begins {text[:200]!r}") from None


class _JsonObject(dict[str, Any]):
    """A parsed object whose missing keys are the model's fault, not the test's."""

    where: str = "reply"

    def __missing__(self, key: str) -> Any:
        __tracebackhide__ = True
        raise ReplyFormatError(f"{self.where} has no key {key!r}; it has {', '.join(map(repr, self)) or 'none'}")


class _JsonArray(list[Any]):
    """A parsed array whose missing items are the model's fault, not the test's."""

    where: str = "reply"

    def __getitem__(self, index: Any) -> Any:
        __tracebackhide__ = True
        try:
            return super().__getitem__(index)
        except IndexError:
            raise ReplyFormatError(f"{self.where} has {len(self)} items, no item {index}") from None


def _checked_json(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        checked = _JsonObject((key, _checked_json(item, f"{where}[{key!r}]")) for key, item in value.items())
        checked.where = where
        return checked
    if isinstance(value, list):
        items = _JsonArray(_checked_json(item, f"{where}[{i}]") for i, item in enumerate(value))
        items.where = where
        return items
    return value
