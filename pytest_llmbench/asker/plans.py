"""Questions that belong together: those asked ahead within a window, and those of one `ask_all`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pytest_llmbench.asker.ticket import Ticket

_Each = Callable[[Ticket], None]


class Plan:
    """What is asked ahead of the tests, in their order.

    Args:
        tickets: in the order in which they are going to be wanted.
        window: how many may be asked beyond the last one that was fetched; None: all.
        release: lets one be asked.
        drop: says that the plan wants one no more.
    """

    def __init__(self, tickets: Sequence[Ticket], window: int | None, release: _Each, drop: _Each) -> None:
        self._tickets = tickets
        self._window = window
        self._release = release
        self._drop = drop
        self._places = {} if window is None else {each.question.id: at for at, each in enumerate(tickets)}
        self._open(0, len(tickets) if window is None else window)

    def fetched(self, question_id: str) -> None:
        """Somebody wants this one now: the window opens behind it, and not before it, where other workers are."""
        place = self._places.get(question_id)
        if place is not None and self._window is not None:
            self._open(place + 1, place + 1 + self._window)

    def end(self) -> None:
        """Drop what only this plan wanted and is not under way."""
        for ticket in self._tickets:
            self._drop(ticket)
        self._tickets, self._places = (), {}

    def _open(self, first: int, end: int) -> None:
        for ticket in self._tickets[first:end]:
            self._release(ticket)


class Group:
    """Several questions of one `ask_all`; done when all are answered, or one has failed.

    Args:
        tickets: each once.
        concurrency: how many of them may be asked at once; None: all.
        release: lets one be asked; called on the loop's thread.
        call_soon: has a function called on the loop's thread.
        whole: whether the others are waited for where one has failed; then all are asked at once.
    """

    def __init__(
        self,
        tickets: Sequence[Ticket],
        concurrency: int | None,
        release: _Each,
        call_soon: Callable[[Callable[[], None]], object],
        *,
        whole: bool = False,
    ) -> None:
        self.tickets = tickets
        self.error: BaseException | None = None
        self._whole = whole
        self._release = release
        self._call_soon = call_soon
        self._limited = concurrency is not None and concurrency < len(tickets)
        self._left = len(tickets)
        self._released = 0
        self._tell: Callable[[Group], None] | None = None
        self._turn = threading.Lock()
        first = concurrency if concurrency is not None and self._limited else len(tickets)
        for _ in range(first):
            self._release_next()
        for ticket in tickets:
            ticket.on_done(self._one_done)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._left == 0 or (self.error is not None and not self._whole)

    def on_done(self, tell: Callable[[Group], None]) -> None:
        """Call `tell` once, when it is done; at once where it is done already."""
        with self._turn:
            if not self.done:
                self._tell = tell
                return
        tell(self)

    def _one_done(self, ticket: Ticket) -> None:
        with self._turn:
            self._left -= 1
            if ticket.error is not None and self.error is None:
                self.error = ticket.error
            tell = None
            if self.done:
                tell, self._tell = self._tell, None
        if tell is not None:
            tell(self)
        if self._limited and self.error is None:
            self._call_soon(self._release_next)

    def _release_next(self) -> None:
        if self._released < len(self.tickets) and self.error is None:
            ticket = self.tickets[self._released]
            self._released += 1
            self._release(ticket)
