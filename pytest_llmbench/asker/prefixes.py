"""Cost before speed: of requests that begin alike one goes first, so that the provider's cache serves the others.

Providers cache beginnings of about 1,024 tokens and more, and only once a request with it was answered: a hundred sent
at once would all pay in full.
"""

from __future__ import annotations

import hashlib
import json

from pytest_llmbench.asker.lanes import LaneKey, lane_key
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.ticket import Ticket

SHORTEST_BYTES = 4096
"""About 1,024 tokens: no provider caches less."""


class Leaders:
    """Who goes first, and who waits for that."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Ticket] | None] = {}
        """Beginning → who waits for its first request; None once that is over."""

    def waits(self, ticket: Ticket) -> bool:
        """Whether the first request of its kind is under way; then it is kept here until that is over."""
        ticket.beginning = ticket.beginning or beginning_of(ticket.question)
        waiting = self._waiting.get(ticket.beginning)
        if waiting is None:
            return False
        waiting.append(ticket)
        return True

    def begins(self, ticket: Ticket) -> None:
        """It is asked now; where it is the first of its kind, the others wait for it."""
        if ticket.beginning:
            self._waiting.setdefault(ticket.beginning, [])

    def over(self, ticket: Ticket) -> list[Ticket]:
        """A request is over, however it ended: those that waited for it, in their order."""
        if not ticket.beginning:
            return []
        waiting = self._waiting.get(ticket.beginning)
        self._waiting[ticket.beginning] = None
        return waiting or []


def beginning_of(question: Question) -> str:
    """The same for all requests to a model whose first 4,096 bytes are the same; empty for a shorter one."""
    request = question.request
    text = json.dumps([request.extra.get("tools"), request.messages], sort_keys=True).encode()
    if len(text) < SHORTEST_BYTES:
        return ""
    key: LaneKey = lane_key(question.target)
    return hashlib.sha256("\n".join(key).encode("utf-8", "surrogatepass") + text[:SHORTEST_BYTES]).hexdigest()
