"""A question on its way to its reply."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.wire import Hearing, Thought
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.records import Reply

if TYPE_CHECKING:
    import asyncio

    from pytest_llmbench.asker.means import OnText
    from pytest_llmbench.asker.retry import History
    from pytest_llmbench.observe.seen import Seen


class State(Enum):
    """Where a question is."""

    PLANNED = auto()
    """Beyond the window of those that may be asked now."""
    WAITING = auto()
    """In line."""
    RESTING = auto()
    """Failed, to be tried again after a while."""
    LOOKING = auto()
    """Looked up in the response cache, or waiting for another one that asks the same."""
    BEGINNING = auto()
    """Let through; its request is not sent yet."""
    ASKING = auto()
    """A request is under way."""
    KEEPING = auto()
    """The reply is complete, and on its way into the database."""
    DONE = auto()
    """Answered or failed."""
    DROPPED = auto()
    """Nobody wants it any more."""


_turn = threading.Lock()
"""Held for the moment in which a ticket is done, or somebody registers to be told; one for all tickets is enough."""


class Ticket:
    """One question, its state, and who is to be told its outcome.

    All but `result`, `done` and `on_done` belongs to the loop's thread.
    """

    __slots__ = (
        "_callbacks",
        "_error",
        "_reply",
        "beginning",
        "cache_key",
        "history",
        "is_paid",
        "on_text",
        "question",
        "said",
        "seen",
        "state",
        "task",
        "tries",
        "urgent",
        "wanted",
        "worst_usd",
    )

    def __init__(self, question: Question) -> None:
        self.question = question
        self.state = State.PLANNED
        self.wanted = 0
        """How many plans and demands want it."""
        self.tries = 0
        """Requests begun."""
        self.history: History | None = None
        """Of its failures, from the first on."""
        self.is_paid = False
        """Whether its next attempt is taken off the run's budget for retries already."""
        self.task: asyncio.Task[Reply] | None = None
        self.on_text: OnText | None = None
        self.said = False
        """Whether pieces of an answer were handed on: then it cannot be tried again."""
        self.seen: Seen | None = None
        """The attempt that is under way, or failed last, where somebody looks on."""
        self.urgent = False
        """Whether a test waits for it now, or has waited."""
        self.worst_usd: Decimal | None = None
        """The most that asking it once can cost; None: not reckoned yet."""
        self.cache_key: str | None = None
        """What it is found by in the response cache, once it was looked up there; empty: it may not be cached."""
        self.beginning = ""
        """What it has in common with others, where that matters."""
        self._reply: Reply | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Ticket], None]] | None = []

    @property
    def done(self) -> bool:
        """Whether there is a reply or a failure."""
        return self._callbacks is None

    @property
    def error(self) -> BaseException | None:
        """Why there is no reply."""
        return self._error

    def result(self) -> Reply:
        """The reply; raises what stands for it where there is none. Only of one that is done."""
        __tracebackhide__ = True
        if self._error is not None:
            raise told(self._error)
        if self._reply is None:
            raise RuntimeError("asked for the reply of a question that is under way")
        return self._reply

    @property
    def outcome(self) -> Reply | BaseException:
        """The reply, or what stands for it. Only of one that is done."""
        return self.result() if self._error is None else told(self._error)

    def on_done(self, tell: Callable[[Ticket], None]) -> None:
        """Call `tell` when it is done, in the thread that completes it; at once where it is done already."""
        with _turn:
            if self._callbacks is not None:
                self._callbacks.append(tell)
                return
        tell(self)

    def hand_on(self, tell: OnText) -> None:
        """Have `tell` called with each piece of the answer's text as it comes.

        A `Hearing` gets the reasoning, too, after which it can still be tried again.
        """

        def said(piece: str) -> None:
            self.said = self.said or not isinstance(piece, Thought)
            tell(piece)

        self.on_text = Hearing(said) if isinstance(tell, Hearing) else said

    def finish(self, reply: Reply) -> None:
        """It is answered."""
        self._reply = reply
        self._tell()

    def fail(self, error: BaseException) -> None:
        """There will be no reply."""
        if self.seen is not None:
            self.seen.given_up(error)
        self._error = error
        self._tell()

    def _tell(self) -> None:
        with _turn:
            callbacks, self._callbacks = self._callbacks, None
            self.state = State.DONE
        for tell in callbacks or ():
            tell(self)


def told(error: BaseException) -> BaseException:
    """An error as it is raised where the question was asked: without the way it took through our loop, unless it is a
    fault of our own."""
    return error.with_traceback(None) if isinstance(error, LlmbenchError) else error
