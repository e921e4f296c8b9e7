"""The asker within one process: plain blocking calls over the dispatcher on the background loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

from pytest_llmbench import http
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.question import Question, Status
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.ticket import Ticket
from pytest_llmbench.clients.wire import Hearing, Thought
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, UsageError
from pytest_llmbench.records import Reply

_STORE_GRACE_S = 30.0
"""How long the store may take for what was complete when asking was cancelled."""
_T = TypeVar("_T")


class LocalAsker:
    """Implements `Asker`; see there.

    Args:
        means: how questions are sent and kept.
        rules: the choices.
        budget: None where nothing is capped; from now on it belongs to the loop's thread.
        accounts: the folder in which sessions of one account meet; None: this one is alone.
    """

    def __init__(
        self,
        means: Means,
        rules: Rules | None = None,
        *,
        budget: Budget | None = None,
        accounts: Path | None = None,
    ) -> None:
        self._closed = False
        self._agreed: dict[str, str] = {}
        self._agreeing = Lock()
        self.dispatcher = http.run(_made(lambda: Dispatcher(means, rules, budget=budget, accounts=accounts)))

    def plan(self, questions: Sequence[Question], *, window: int | None = None) -> None:
        self._tell(self.dispatcher.plan, questions, window)

    def follow(self, question: Question, tell: Callable[[Reply | BaseException], None]) -> None:
        def over(ticket: Ticket) -> None:
            tell(ticket.outcome)

        self._tell(lambda: self.dispatcher.follow(question).on_done(over))

    def get(self, question: Question) -> Reply:
        __tracebackhide__ = True
        ticket = self.dispatcher.ticket(question.id)
        if ticket is None or not ticket.done:
            ticket = self._awaited(lambda: self.dispatcher.demand(question))
        elif self.dispatcher.has_windows:
            self._tell(self.dispatcher.demand, question)
        return ticket.result()

    def get_all(self, questions: Sequence[Question], *, concurrency: int | None = None) -> list[Reply]:
        __tracebackhide__ = True
        if concurrency is not None and concurrency < 1:
            raise UsageError(f"concurrency is at least 1, not {concurrency}")
        group = self._awaited(lambda: self.dispatcher.demand_all(questions, concurrency))
        return self.dispatcher.collected(group, questions)

    def get_each(self, questions: Sequence[Question]) -> list[Reply | LlmbenchError]:
        __tracebackhide__ = True
        group = self._awaited(lambda: self.dispatcher.demand_all(questions, whole=True))
        outcomes = {ticket.question.id: _of_ours(ticket.outcome) for ticket in group.tickets}
        return [outcomes[question.id] for question in questions]

    def agree(self, choices: Mapping[str, str]) -> Mapping[str, str]:
        with self._agreeing:
            return {key: self._agreed.setdefault(key, choice) for key, choice in choices.items()}

    def stream(self, question: Question) -> StreamedHere:
        pieces: SimpleQueue[str | None] = SimpleQueue()

        def demanded() -> None:
            try:
                streamed.ticket = self.dispatcher.demand(question, on_text=Hearing(pieces.put))
                streamed.ticket.on_done(lambda _: pieces.put(None))
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                streamed.fault = error
                pieces.put(None)

        streamed = StreamedHere(pieces)
        self._tell(demanded)
        return streamed

    def pause(self) -> None:
        self._check_open()
        http.run(self.dispatcher.pause())

    def resume(self) -> None:
        self._tell(self.dispatcher.resume)

    def cancel(self) -> None:
        if self._has_ended:
            return
        http.run(self.dispatcher.cancel())
        wait(self.dispatcher.keeping, timeout=_STORE_GRACE_S)

    def status(self) -> Status:
        return self.dispatcher.status()

    def close(self) -> None:
        if self._has_ended:
            return
        self.cancel()
        self._closed = True
        http.run(_made(self.dispatcher.close))  # it may have something to store, and the store is closed next

    def _tell(self, call: Callable[..., Any], *arguments: Any) -> None:
        __tracebackhide__ = True
        self._check_open()
        self.dispatcher.loop.call_soon_threadsafe(call, *arguments)

    def _awaited(self, demand: Callable[[], Any]) -> Any:
        """What `demand` gives on the loop's thread, once that is done."""
        __tracebackhide__ = True
        over: Future[Any] = Future()

        def begin() -> None:
            try:
                demand().on_done(over.set_result)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                over.set_exception(error)

        self._tell(begin)
        return over.result()

    @property
    def _has_ended(self) -> bool:
        return self._closed or self.dispatcher.loop.is_closed()

    def _check_open(self) -> None:
        __tracebackhide__ = True
        if self._has_ended:
            raise InfraError("this session asks no more: it has ended", category=Category.CANCELLED)


class StreamedHere:
    """Implements `Streamed`; see there."""

    def __init__(self, pieces: SimpleQueue[str | None]) -> None:
        self.ticket: Ticket | None = None
        self.fault: BaseException | None = None
        """Why it could not even be asked for."""
        self._pieces = pieces
        self._over = False

    def __iter__(self) -> Iterator[str]:
        __tracebackhide__ = True
        said = False
        while not self._over:
            piece = self._pieces.get()
            if piece is None:
                self._over = True
            else:
                said = said or not isinstance(piece, Thought)
                yield piece
        reply = self.reply  # one that broke off is an error, not a short answer
        if not said:  # answered before, or not streamed
            yield reply.text

    @property
    def reply(self) -> Reply:
        __tracebackhide__ = True
        if self.fault is not None:
            raise self.fault
        if not self._over or self.ticket is None:
            raise UsageError("the reply of a stream is known once its text was iterated over")
        return self.ticket.result()


async def _made(make: Callable[[], _T]) -> _T:
    return make()


def _of_ours(outcome: Reply | BaseException) -> Reply | LlmbenchError:
    """A fault of our own is raised and not handed on."""
    if isinstance(outcome, Reply | LlmbenchError):
        return outcome
    raise outcome
