"""What was asked of the provider and what it sent: the log and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN_KINDS = frozenset({"content", "reasoning", "tool"})
_CHAT_ENDS = ("/chat/completions", "/v1/messages")


@dataclass(frozen=True, slots=True)
class Sent:
    """One piece of a response."""

    at: float
    """`clock.monotonic` just before it was handed to the socket."""
    kind: str
    size_bytes: int


@dataclass(slots=True)
class Call:
    """One request and what became of it. Stamps are of `clock.monotonic`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: Any = None
    """Parsed JSON; the bytes themselves of a file that was uploaded; None where there was none."""
    received_at: float = 0.0
    """When the last byte of the request had been read."""
    connection: int = 0
    """Counts the connections: two calls on one connection have the same number."""
    sent: list[Sent] = field(default_factory=list)
    status: int = 0
    """Of the response; 0 until it began."""
    complete: bool = False
    """The response went out whole, as far as its script goes."""

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def is_chat(self) -> bool:
        """Whether it asked a model for a reply."""
        return self.route.endswith(_CHAT_ENDS)

    @property
    def ttft_s(self) -> float:
        """Request received → first event with generated text sent.

        Raises:
            ValueError: none was sent.
        """
        return min(self._token_times()) - self.received_at

    @property
    def last_token_s(self) -> float:
        """Request received → last event with generated text sent.

        Raises:
            ValueError: none was sent.
        """
        return max(self._token_times()) - self.received_at

    def _token_times(self) -> list[float]:
        return [sent.at for sent in self.sent if sent.kind in _TOKEN_KINDS]


@dataclass(slots=True)
class Counts:
    """What happened since the provider started, or since its log was last cleared."""

    requests: int = 0
    """Chat requests received; the others are not counted."""
    complete: int = 0
    """Of these, answered with status 200 and to the end."""
    by_status: Counter[int] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def received(self, call: Call) -> None:
        """A chat request came."""
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if isinstance(call.body, dict):
            self.by_model[str(call.body.get("model"))] += 1

    def over(self, call: Call) -> None:
        """Its response has ended, whole or not."""
        self.in_flight -= 1
        self.by_status[call.status] += 1
        self.complete += call.complete and call.status == 200

    def told(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "requests": self.requests,
            "complete": self.complete,
            "by_status": {str(status): count for status, count in self.by_status.items()},
            "by_model": dict(self.by_model),
            "connections": self.connections,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }
