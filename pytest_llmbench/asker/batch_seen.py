"""What becomes of a batch, told to those who look on: that it went out, how it stands, every answer that came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.watching import call_of
from pytest_llmbench.errors import WireError
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Kind, Note
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.records import Cost, Reply


@dataclass(frozen=True, slots=True)
class BatchSeen:
    """One batch, as those who look on see it.

    Args:
        observer: who looks on; None: nobody.
        run_id: its run.
        model: whom it is for.
        requests: how many questions it has.
        submitted_at: when it went out; ISO 8601, UTC.
        provider_id: as the provider calls it; empty while that is not known.
    """

    observer: Observer | None
    run_id: str
    model: str
    requests: int
    submitted_at: str
    provider_id: str = ""

    def submitted(self) -> None:
        """It went out."""
        self._note(Kind.BATCH_SUBMITTED, f"{self._what} went out; `--resume` fetches what comes of it")

    def looked_at(self, status: str) -> None:
        """The provider said how it stands, in its own word."""
        self._note(Kind.BATCH_LOOKED_AT, f"{self._what}: {status}", status=status)

    def lost(self, why: str) -> None:
        """There is no such batch."""
        self._note(Kind.BATCH_LOST, f"{self._what} {why}")

    def answered(self, question: Question, reply: Reply) -> CallEnded:
        """It brought this reply."""
        return CallEnded.answered(self._call(question), reply, None)

    def failed(self, question: Question, error: WireError, cost: Cost) -> CallEnded:
        """It brought no reply to this question."""
        return CallEnded.broken(self._call(question), error, None, usage=error.usage, cost=cost)

    def tell(self, several: Iterable[CallEnded]) -> None:
        """What it brought is stored."""
        if self.observer is not None:
            for ended in several:
                self.observer.ends(ended)

    def _call(self, question: Question) -> CallBegun:
        begun = call_of(question, self.run_id, attempt=1)
        return dataclasses.replace(begun, batch=self.provider_id, begun_at=self.submitted_at, stream=False)

    @property
    def _what(self) -> str:
        return f"a batch of {self.requests} question{'s' * (self.requests != 1)} to {self.model}"

    def _note(self, kind: Kind, message: str, **details: str) -> None:
        if self.observer is not None:
            about = {"batch": self.provider_id, "requests": self.requests, **details}
            self.observer.notes(Note(kind, message, self.model, about))
