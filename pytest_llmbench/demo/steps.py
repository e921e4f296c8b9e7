"""The small steps that responses are made of, and the pages that are played from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while; `inf` is a stall that only the end of the connection ends."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """Send one server-sent event."""

    payload: Mapping[str, Any] | str
    kind: str
    """For the log: `role`, `progress`, `content`, `reasoning`, `tool`, `finish`, `usage`, `done`, `error`."""
    name: str = ""
    """Its `event:` line, where the format has one."""

    @property
    def data(self) -> bytes:
        text = self.payload if isinstance(self.payload, str) else json.dumps(self.payload, ensure_ascii=False)
        named = b"event: " + self.name.encode() + b"\n" if self.name else b""
        return named + b"data: " + utf8(text) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Raw:
    """Send these very bytes."""

    data: bytes
    kind: str = "raw"


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection here, without the end that HTTP asks for."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST)."""


Step = Wait | Event | Raw | Close | Reset


@dataclass(frozen=True)
class Page:
    """A raw HTTP response: status, headers, and the steps that make its body."""

    steps: Sequence[Step]
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = True
    """False: no chunks; without `content_length` the connection's end is the body's end."""
    headers_after_s: float = 0.0
    content_length: int | None = None
    """Told instead of chunks, be it true or not."""


def json_page(value: Any, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "whole") -> Page:
    """A whole JSON response, with its length told."""
    return whole_page(utf8(json.dumps(value, ensure_ascii=False)), status, "application/json", headers or {}, kind)


def whole_page(body: bytes, status: int, content_type: str, headers: Mapping[str, str], kind: str = "whole") -> Page:
    """A response in one piece, with its length told."""
    return Page([Raw(body, kind)], status, content_type, headers, content_length=len(body))


def utf8(text: str) -> bytes:
    """Half a surrogate pair, which UTF-8 cannot carry, goes out as its JSON escape: some servers cut emoji so."""
    return text.encode("utf-8", "backslashreplace")


def first_events(steps: Sequence[Step], count: int) -> list[Step]:
    """The steps before event number `count`, counted from 0."""
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Event):
            if count == 0:
                break
            count -= 1
        kept.append(step)
    return kept


def first_bytes(steps: Sequence[Step], count: int) -> list[Step]:
    """The steps up to that many bytes."""
    kept: list[Step] = []
    for step in steps:
        data = step.data if isinstance(step, Event | Raw) else b""
        if len(data) > count:
            return [*kept, Raw(data[:count], "cut")]
        kept.append(step)
        count -= len(data)
    return kept
