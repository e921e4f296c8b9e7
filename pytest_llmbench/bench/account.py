"""What all servers of one measurement share: its clock, its notes, who served it, whether others used the machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.bench.planned import TEXT_LABELS, Timed
from pytest_llmbench.bench.sent import Diary
from pytest_llmbench.bench.subject import Book, Subject
from pytest_llmbench.errors import ServerError
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.records import Cost, FailedAttempt, Measurement, Repetition, Reply, ServerInfo
from pytest_llmbench.records.asked import UNPRICED
from pytest_llmbench.store.measurements import RETAKEN

Window = Callable[[], Callable[[], str]]
"""Begins to look at what others do on this machine; the result ends it and says why a time is not to be trusted."""

_MAX_RETAKES_SHARE = 0.5


def _unwatched() -> Callable[[], str]:
    return lambda: ""


class Account:
    """One measurement while it goes on.

    Args:
        begun: its header, with what an interrupted one had.
        book: where it is written.
        window: see `Window`.
    """

    def __init__(self, begun: Measurement, book: Book, window: Window = _unwatched) -> None:
        self.book = book
        self.measurement_id = begun.id
        self.kept = begun.counted
        self.begun_at = clock.monotonic()
        self.notes: list[str] = []
        self.window = window
        self.server = ServerInfo("", "")
        """The last one that was asked."""
        self.latest: Mapping[str, float] = {}
        """The newest sample of the system monitor."""
        self.others: list[Subject] = []
        """The model behind servers that only this measurement wants."""
        self.anchor_s: float | None = None
        """How long a fixed piece of work takes on this machine; None: not timed."""
        self.cost_of: Callable[[Reply], Cost] = lambda reply: reply.cost
        """What a reply cost, where it is known who is asked, and for what price."""
        self.diary = Diary(begun)
        """Of what went out, until those who look on are told."""
        self.sent = 0
        """The requests that went out, warm-ups included."""
        self._seen_rss_bytes: int | None = None
        self._earlier = earlier_servers(begun)
        self._taken_before = {r.index % RETAKEN: r.index // RETAKEN for r in begun.repetitions if r.superseded}
        self._done = 0
        self._retaken = 0

    def elapsed_s(self) -> float:
        """Since this process began with it."""
        return clock.monotonic() - self.begun_at

    def tell(self) -> None:
        """Tell those who look on what was sent since; called while nothing is under way."""
        self.diary.tell(self.cost_of)

    def note(self, text: str) -> None:
        """A sentence for the reader, once."""
        if text not in self.notes:
            self.notes.append(text)

    def meet(self, server: ServerInfo) -> None:
        """Go on with this server."""
        before, self.server = self.server, server
        if before.engine and _who(before.public()) == _who(server.public()):
            return
        if before.engine:
            self._earlier.append(identity(before.public()))
        self._seen_rss_bytes = None

    def saw(self, readings: Mapping[str, float]) -> None:
        """The newest sample of the system monitor."""
        self.latest = readings
        if "rss_bytes" in readings:
            self._seen_rss_bytes = max(int(readings["rss_bytes"]), self._seen_rss_bytes or 0)

    def peak_rss_bytes(self) -> int | None:
        """The most memory the last server has had; of one that is gone, the most that the monitor saw."""
        peak = None if self.server.pid is None else ProcessMeter(self.server.pid).peak_rss_bytes()
        return self._seen_rss_bytes if peak is None else peak

    def let_go(self) -> None:
        """Give the memory of servers that nobody asks any more free."""
        for other in self.others:
            other.let_go()

    def served_by(self) -> dict[str, Any]:
        """The server, and under `earlier` those that measured before it."""
        now = self.server.public()
        earlier = list({_who(server): server for server in self._earlier if _who(server) != _who(now)}.values())
        return {**now, "earlier": earlier} if earlier else now

    def keep(self, timed: Timed) -> Repetition:
        """Store a repetition the moment it is complete, its reply beside it where texts are kept."""
        if not self.book.keep_prompts:
            labels = {name: label for name, label in timed.repetition.labels.items() if name not in TEXT_LABELS}
            bare = dataclasses.replace(timed.repetition, prompt="", labels=labels)
            return self.book.store.save_repetition(self.measurement_id, bare)
        reply = None if timed.reply is None else dataclasses.replace(timed.reply, cost=self.cost_of(timed.reply))
        asked = None if reply is None else (timed.request.as_dict(), reply)
        return self.book.store.save_repetition(self.measurement_id, timed.repetition, reply=asked)

    def take_again(self, timed: Timed, attempt: int) -> bool:
        """Whether a repetition is taken once more because others used the machine; if so it is stored as superseded.

        Bounded for each repetition, and over all to half as many again: a machine that is never quiet is measured as
        it is, with its marks.
        """
        self._done += 1
        allowed = max(self.book.retakes, _MAX_RETAKES_SHARE * self._done)
        if not timed.repetition.dirty or attempt >= self.book.retakes or self._retaken >= allowed:
            return False
        self._retaken += 1
        own = timed.repetition.index
        before = self._taken_before.get(own, 0)  # its indexes are taken
        aside = dataclasses.replace(timed.repetition, index=own + RETAKEN * (before + attempt + 1), superseded=True)
        self.keep(dataclasses.replace(timed, repetition=aside))
        return True

    def lose(self, died: ServerError, model: str, what: str, number: int) -> None:
        """Keep what had come of a request whose server died."""
        attempt = failed_attempt(died, model, what, number, keep_text=self.book.keep_prompts)
        self.book.store.save_failed_attempt(self.book.run_id, f"measurement:{self.measurement_id}", attempt)


def failed_attempt(error: ServerError, model: str, request_hash: str, number: int, *, keep_text: bool) -> FailedAttempt:
    """A request under which the server died, as it is stored; without what had come where texts are not kept."""
    return FailedAttempt(
        model=model,
        request_hash=request_hash,
        number=number,
        category=str(error.category),
        message=error.message,
        partial_text=error.partial_text if keep_text else "",
        at=clock.now().isoformat(),
        cost=UNPRICED,
    )


def earlier_servers(begun: Measurement) -> list[dict[str, Any]]:
    """Who measured the repetitions that are there already."""
    if not begun.repetitions:
        return []
    return [*begun.server.get("earlier", ()), identity(begun.server)]


def identity(server: Mapping[str, Any]) -> dict[str, Any]:
    """Which process a server was."""
    return {name: server.get(name) for name in ("pid", "started_at", "engine", "build", "binary", "load_s")}


def _who(server: Mapping[str, Any]) -> tuple[Any, Any]:
    return server.get("pid"), server.get("started_at")
