"""What tells one wire format from another, and the callbacks that every format takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.clients.decoded import Decoded
from pytest_llmbench.clients.request import ChatRequest, Endpoint

OnHeaders = Callable[[int, Mapping[str, str]], None]
"""Told once, when a response's headers have come, whatever they say: (status, headers with names in lower case)."""

OnText = Callable[[str], None]
"""Given each piece of the answer's text, reasoning left out, on the event loop's thread: it has to be quick."""


class Thought(str):
    """A piece of reasoning, among the pieces of an answer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Hearing:
    """An `OnText` that is given reasoning as well: those pieces are `Thought`."""

    tell: OnText

    def __call__(self, piece: str) -> None:
        self.tell(piece)


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format."""

    name: str
    """What a server has to be compatible with, for messages."""
    url: Callable[[Endpoint], str]
    headers: Callable[[Endpoint], Mapping[str, str]]
    """Those that carry the key or that the format wants."""
    body: Callable[[Endpoint, ChatRequest], dict[str, Any]]
    decoder: Callable[[], Decoded]
    tokens_begin: bytes
    """What a chunk of a stream that holds nothing but generated text begins with."""
    end: bytes
    """Stands in the last event of a stream, seldom in others."""
