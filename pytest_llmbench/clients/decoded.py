"""What a response said, whatever its wire format: text, counts, clock readings; and how JSON from strangers is read.

Runs after a stream has ended; only the search for the first token looks at events while they arrive.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from pytest_llmbench.clients.pieces import joined
from pytest_llmbench.clients.tool_calls import ToolCalls
from pytest_llmbench.records import Usage
from pytest_llmbench.sse import Event

DONE = b"[DONE]"

_T = TypeVar("_T")
_MOST = 2**53
"""What is larger is no count of tokens, and may be more than the database can hold."""
_FINISHES = {
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
    "safety": "content_filter",
}


class FormatError(Exception):
    """A provider sent what its format does not allow."""


@dataclass(slots=True)
class Decoded(ABC):
    """What a response said, as far as it came; a subclass a wire format."""

    unanswered: ClassVar[str]
    """What is wrong with a response that ended without any answer."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: ToolCalls = field(default_factory=ToolCalls)
    finish_reason: str = ""
    ended: bool = False
    """A terminal frame was seen: a finish reason, or the format's last event."""
    over: bool = False
    """The format's last event was seen: nothing follows."""
    error: Mapping[str, Any] | None = None
    """The provider's error object, where it sent one."""
    answered: bool = False
    """An answer came, be it an empty one."""
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
        return joined(self.content)

    @property
    def thought(self) -> str:
        return joined(self.reasoning)

    def take(self, event: Event) -> bool:
        """Take in one event; returns whether what follows is of no interest: an error came, or nonsense."""
        self.events += 1
        if event.data.strip() == DONE:
            self.ended = self.over = True
        else:
            self.take_in(event.data, event.arrived_at)
        return self.error is not None or bool(self.malformed)

    def take_in(self, data: bytes, arrived_at: float | None) -> None:
        """Take in one event's data, with its stamp, or the one body of a reply that was not streamed."""
        try:
            self._add(_parse(data), arrived_at)
        except FormatError as nonsense:
            self.malformed = str(nonsense)

    def take_whole(self, body: bytes) -> Self:
        """Take in a reply that was not streamed; the object's own end is its terminal frame."""
        self.take_in(body, None)
        self.ended = not self.malformed and self.error is None
        return self.closed()

    def closed(self) -> Self:
        """The same, when nothing more will come: what ends without any answer is no reply.

        A wrong address may well answer 200 with JSON.
        """
        if self.ended and not self.answered and self.error is None and not self.malformed:
            self.malformed = self.unanswered
        return self

    @abstractmethod
    def tokens(self) -> Usage:
        """The server's counts and its bill; None for what it did not tell."""

    @abstractmethod
    def _add(self, payload: Mapping[str, Any], arrived_at: float | None) -> None:
        """Take in one JSON object.

        Raises:
            FormatError: it is not of the format.
        """

    def _generated(self, content: str, reasoning: str, arguments: str, arrived_at: float | None) -> None:
        """Note generated text; `arguments` are those of a tool call, which count here for the times alone."""
        self.content.append(content)
        self.reasoning.append(reasoning)
        if arrived_at is not None and (content or reasoning or arguments):
            self.token_times.append(arrived_at)
            if self.answer_at is None and (content or arguments):
                self.answer_at = arrived_at


def finish_reason(told: str) -> str:
    """The provider's word for why an answer ended in OpenAI's words, so that tests need to know only those."""
    word = told.partition(":")[0].lower()
    return _FINISHES.get(word, word)


def member(data: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    """`data[name]`, None where it is missing or null.

    Raises:
        FormatError: it is of another kind.
    """
    value = data.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise FormatError(f"{name!r} as {type(value).__name__}, not {kind.__name__}")


def objects(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The JSON objects of the array `data[name]`; empty where it is missing or null.

    Raises:
        FormatError: it is no array, or holds something else.
    """
    items = member(data, name, list) or []
    if not all(isinstance(item, dict) for item in items):
        raise FormatError(f"{name!r} with an item that is no object")
    return items


def numbers(data: Mapping[str, Any] | None) -> dict[str, float]:
    """The numbers among the members of an object."""
    return {name: value for name, value in (data or {}).items() if is_number(value)}


def is_number(value: Any) -> bool:
    """Whether it is a finite number, which a bool is not."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def count(value: Any) -> int | None:
    """A count as told; None for what is no count."""
    if value is None:  # most of the names that counts may have
        return None
    return int(value) if is_number(value) and 0 <= value <= _MOST else None


def total(*counts: int | None) -> int | None:
    """The sum of those that were told; None where none was."""
    told = [each for each in counts if each is not None]
    return sum(told) if told else None


def _parse(data: bytes) -> Mapping[str, Any]:
    text = data.decode("utf-8", "replace")
    try:
        payload = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON ({error}): {text[:80]!r}") from error
    if not isinstance(payload, dict):
        raise FormatError(f"no JSON object: {text[:80]!r}")
    return payload


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_JSON = json.JSONDecoder(parse_constant=_no_number)
