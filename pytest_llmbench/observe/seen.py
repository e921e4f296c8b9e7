"""One attempt from its beginning to its end, as those who look on see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pytest_llmbench import clock
from pytest_llmbench.errors import InfraError
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Kind, Note, failure_of
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.records import Cost, Reply, Usage
from pytest_llmbench.records.asked import UNKNOWN_COST


class Seen:
    """Begins with its making.

    Args:
        observer: who looks on.
        call: what begins now.
    """

    __slots__ = ("_began_at", "_call", "_ended", "_is_promised", "_observer", "headers")

    def __init__(self, observer: Observer, call: CallBegun) -> None:
        self._call = call
        self._observer = observer
        self._ended: CallEnded | None = None
        """How it failed, while it is not decided whether it is tried again."""
        self._is_promised = False
        """Whether it was told that another attempt follows."""
        self.headers: Mapping[str, str] = observer.begins(call)
        """To be sent along, where the next hop is ours."""
        self._began_at = clock.monotonic()

    def answered(self, reply: Reply) -> None:
        """It brought a whole reply."""
        self._observer.ends(CallEnded.answered(self._call, reply, self._duration_s))

    def failed(self, error: BaseException, usage: Usage | None = None, cost: Cost = UNKNOWN_COST) -> None:
        """It brought none; told at once, unless it may be tried again: then once that is `decided`."""
        ended = CallEnded.broken(self._call, error, self._duration_s, usage=usage, cost=cost)
        if isinstance(error, InfraError):
            self._ended = ended
        else:
            self._observer.ends(ended)

    def decided(self, retry_in_s: float | None) -> None:
        """Where it failed: it is tried again after so many seconds; None: it is not."""
        if (ended := self._ended) is not None:
            self._ended = None
            self._is_promised = retry_in_s is not None
            self._observer.ends(ended if retry_in_s is None else dataclasses.replace(ended, retry_in_s=retry_in_s))

    def given_up(self, error: BaseException) -> None:
        """There will be no reply: told where another attempt was promised, so that this is the last word on it."""
        if self._is_promised:
            self._is_promised = False
            category, message = failure_of(error)
            about = {"id": self._call.correlation_id, "call_id": self._call.call_id, "category": category}
            self._observer.notes(Note(Kind.GIVEN_UP, f"not tried again: {message}", self._call.model, about))

    @property
    def _duration_s(self) -> float:
        return clock.monotonic() - self._began_at
