"""From the events or the body of an OpenAI-compatible chat to text, counts and clock readings.

Runs after the stream has ended; only the search for the first token looks at events while they arrive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self, TypeVar

from pytest_llmbench.clients.openai_errors import error_in
from pytest_llmbench.records import Usage
from pytest_llmbench.sse import Event

DONE = b"[DONE]"

_T = TypeVar("_T")


@dataclass(slots=True)
class Decoded:
    """What a response said, as far as it came."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish_reason: str = ""
    ended: bool = False
    """A terminal frame was seen: a finish reason or `[DONE]`."""
    error: Mapping[str, Any] | None = None
    """The provider's error object, where it sent one."""
    answered: bool = False
    """A choice came, be it an empty one."""
    malformed: str = ""
    """What was no JSON, or not of the format; decoding stops there."""
    served_model: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    token_times: list[float] = field(default_factory=list)
    """When each event with generated text of any kind arrived."""
    events: int = 0
    """How many were taken in."""
    answer_at: float | None = None
    """When the first text that is not reasoning arrived."""

    @property
    def text(self) -> str:
        return _joined(self.content)

    @property
    def thought(self) -> str:
        return _joined(self.reasoning)

    def take(self, event: Event) -> bool:
        """Take in one event; returns whether what follows is of no interest: an error came, or nonsense."""
        self.events += 1
        if event.data.strip() == DONE:
            self.ended = True
        else:
            self.take_in(event.data, event.arrived_at)
        return self.error is not None or bool(self.malformed)

    def take_in(self, data: bytes, arrived_at: float | None) -> None:
        """Take in one event's data, with its stamp, or the one body of a reply that was not streamed."""
        try:
            self._add(_parse(data), arrived_at)
        except _FormatError as nonsense:
            self.malformed = str(nonsense)

    def closed(self) -> Self:
        """The same, when nothing more will come: what ends without any choice is no reply.

        A wrong address may well answer 200 with JSON.
        """
        if self.ended and not self.answered and self.error is None and not self.malformed:
            self.malformed = "an answer without choices"
        return self

    def _add(self, payload: Mapping[str, Any], arrived_at: float | None) -> None:
        self.error = error_in(payload)
        self.served_model = _member(payload, "model", str) or self.served_model
        if "usage" in payload:
            self.usage = _member(payload, "usage", dict) or self.usage
        if "timings" in payload:
            self.timings = _numbers(_member(payload, "timings", dict)) or self.timings
        for choice in _first_choice(payload):
            self.answered = True
            self._add_delta(_delta(choice), arrived_at)
            self.finish_reason = _member(choice, "finish_reason", str) or self.finish_reason
        self.ended = self.ended or bool(self.finish_reason)

    def _add_delta(self, delta: Mapping[str, Any], arrived_at: float | None) -> None:
        content, reasoning, arguments = _texts(delta)
        self.content.append(content)
        self.reasoning.append(reasoning)
        if arrived_at is not None and (content or reasoning or arguments):
            self.token_times.append(arrived_at)
            if self.answer_at is None and (content or arguments):
                self.answer_at = arrived_at

    def tokens(self) -> Usage:
        """The server's counts: `usage` first, llama.cpp's `timings` where it says nothing; else None."""
        details = [self.usage.get(f"{kind}_tokens_details") for kind in ("prompt", "completion")]
        prompt_details, completion_details = (detail if isinstance(detail, dict) else {} for detail in details)
        cached = _count(prompt_details.get("cached_tokens"))
        cache_n, prompt_n = (_count(self.timings.get(name)) for name in ("cache_n", "prompt_n"))
        prompt = _count(self.usage.get("prompt_tokens"))
        completion = _count(self.usage.get("completion_tokens"))
        return Usage(
            prompt_tokens=_sum(prompt_n, cache_n) if prompt is None else prompt,
            completion_tokens=_count(self.timings.get("predicted_n")) if completion is None else completion,
            cached_tokens=cache_n if cached is None else cached,
            reasoning_tokens=_count(completion_details.get("reasoning_tokens")),
        )


def decode_events(events: Iterable[Event]) -> Decoded:
    """What a stream said, up to its end, the provider's error, or the first nonsense."""
    decoded = Decoded()
    for event in events:
        if decoded.take(event):
            break
    return decoded.closed()


def decode_body(body: bytes) -> Decoded:
    """What a reply that was not streamed said; the object's own end is its terminal frame."""
    decoded = Decoded()
    decoded.take_in(body, None)
    decoded.ended = not decoded.malformed and decoded.error is None
    return decoded.closed()


class _FormatError(Exception):
    """A provider sent what the format does not allow."""


def _parse(data: bytes) -> Mapping[str, Any]:
    text = data.decode("utf-8", "replace")
    try:
        payload = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        raise _FormatError(f"not JSON ({error}): {text[:80]!r}") from error
    if not isinstance(payload, dict):
        raise _FormatError(f"no JSON object: {text[:80]!r}")
    return payload


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_JSON = json.JSONDecoder(parse_constant=_no_number)


def _member(data: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    value = data.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise _FormatError(f"{name!r} as {type(value).__name__}, not {kind.__name__}")


def _first_choice(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = _member(payload, "choices", list) or []
    if not all(isinstance(choice, dict) for choice in choices):
        raise _FormatError("a choice that is no object")
    return [choice for choice in choices if choice.get("index", 0) == 0][:1]


def _delta(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    return _member(choice, "delta", dict) or _member(choice, "message", dict) or {}


def _texts(delta: Mapping[str, Any]) -> tuple[str, str, str]:
    """Content, reasoning and tool-call arguments of one event."""
    if len(delta) == 1 and isinstance(lone := delta.get("content"), str):  # nearly all events are of this form
        return lone, "", ""
    content = _member(delta, "content", str) or ""
    reasoning = _member(delta, "reasoning_content", str) or _member(delta, "reasoning", str) or ""
    arguments = ""
    for call in _member(delta, "tool_calls", list) or []:
        function = call.get("function") if isinstance(call, dict) else None
        arguments += (_member(function, "arguments", str) or "") if isinstance(function, dict) else ""
    return content, reasoning, arguments


def _numbers(data: Mapping[str, Any] | None) -> dict[str, float]:
    return {name: value for name, value in (data or {}).items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _count(value: Any) -> int | None:
    return int(value) if _is_number(value) and value >= 0 else None


def _sum(*counts: int | None) -> int | None:
    told = [count for count in counts if count is not None]
    return sum(told) if told else None


def _joined(parts: Iterable[str]) -> str:
    """The text whole; halves of a surrogate pair that came in two events are put together, a lone half becomes �."""
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
