"""The asker as a worker sees it: a process that all workers share, started by the first one that needs it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from pytest_llmbench import redaction
from pytest_llmbench.asker import reaching
from pytest_llmbench.asker.client_line import STEP_S, ClientLine, LostError, Pulse, Request
from pytest_llmbench.asker.messages import outcome_of, reply_of
from pytest_llmbench.asker.orders import Orders
from pytest_llmbench.asker.question import Question, Status
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, ServerError, UsageError
from pytest_llmbench.records import Reply

_CHUNK = 256
"""Bodies sent at once."""
_T = TypeVar("_T")


class RemoteAsker:
    """Implements `Asker`; see there.

    When the process dies it is started once more in a run, and what was planned and is not fetched is planned again;
    what it had stored is not asked a second time. After that all questions are infra errors (`local.asker`).

    Args:
        folder: private to the run and the same in all its processes; the process's address stands there.
        orders: what the process has to know.
        command: what starts it; ours by default.
    """

    def __init__(self, folder: Path, orders: Orders, *, command: Sequence[str] = reaching.COMMAND) -> None:
        self._folder = folder.absolute()
        self._orders = orders
        self._command = command
        self._line: ClientLine | None = None
        self._connecting = threading.Lock()
        self._plans: list[tuple[tuple[str, ...], int | None]] = []
        self._questions: dict[str, Question] = {}
        self._fetched: set[str] = set()
        self._told: frozenset[str] = frozenset()
        """Secrets that the other process knows of."""
        self._paused = 0
        self._closed = False

    def plan(self, questions: Sequence[Question], *, window: int | None = None) -> None:
        self._questions.update((question.id, question) for question in questions)
        keys = tuple(question.id for question in questions)
        connected = self._line is not None and not self._line.lost
        self._plans.append((keys, window))
        with contextlib.suppress(LostError, InfraError):  # who waits for a reply is told
            line = self._reach()
            if connected:
                self._tell_secrets(line)
                line.tell("plan", keys=keys, window=window)

    def follow(self, question: Question, tell: Callable[[Reply | BaseException], None]) -> None:
        def over(answer: Future[Any]) -> None:
            tell(answer.exception() or reply_of(answer.result()))

        self._questions[question.id] = question
        try:
            self._reach().request("follow", key=question.id).answer.add_done_callback(over)
        except (LostError, InfraError) as error:  # who waits for a reply is told
            tell(error)

    def get(self, question: Question) -> Reply:
        self._questions[question.id] = question
        told = self._asked(lambda line: line.result(line.request("get", key=question.id)))
        self._fetched.add(question.id)
        return reply_of(told)

    def get_all(self, questions: Sequence[Question], *, concurrency: int | None = None) -> list[Reply]:
        if concurrency is not None and concurrency < 1:
            raise UsageError(f"concurrency is at least 1, not {concurrency}")
        self._questions.update((question.id, question) for question in questions)
        keys = [question.id for question in questions]
        told = self._asked(lambda line: _in_parts(line, "get_all", keys, concurrency))
        self._fetched.update(keys)
        return [reply_of(told[key]) for key in keys]

    def get_each(self, questions: Sequence[Question]) -> list[Reply | LlmbenchError]:
        self._questions.update((question.id, question) for question in questions)
        keys = [question.id for question in questions]
        told = self._asked(lambda line: _in_parts(line, "get_each", keys))
        self._fetched.update(keys)
        return [outcome_of(told[key]) for key in keys]

    def agree(self, choices: Mapping[str, str]) -> Mapping[str, str]:
        agreed = self._asked(lambda line: line.result(line.request("agree", choices=dict(choices))))
        return {key: str(agreed[key]) for key in choices}

    def stream(self, question: Question) -> StreamedThere:
        self._questions[question.id] = question
        pieces: SimpleQueue[str | None] = SimpleQueue()

        def begin(line: ClientLine) -> StreamedThere:
            request = line.request("stream", key=question.id, on_part=lambda part: pieces.put(part["text"]))
            request.answer.add_done_callback(lambda _: pieces.put(None))
            return StreamedThere(line, request, pieces)

        return self._asked(begin)

    def pause(self) -> None:
        self._asked(lambda line: line.result(line.request("pause")))
        self._paused += 1

    def resume(self) -> None:
        self._paused = max(0, self._paused - 1)
        line = self._line
        if line is not None:
            with contextlib.suppress(LostError):  # its pauses ended with it
                line.tell("resume")

    def cancel(self) -> None:
        self._plans.clear()
        line = self._line
        if line is not None:
            with contextlib.suppress(LostError):  # what it asked for ended with it
                line.tell("cancel")

    def status(self) -> Status:
        return Status.from_dict(self._asked(lambda line: line.result(line.request("status"))))

    def close(self) -> None:
        self._closed = True
        with self._connecting:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def _asked(self, ask: Callable[[ClientLine], _T]) -> _T:
        """Ask, and once more where the process went meanwhile."""
        for _ in range(2):
            with contextlib.suppress(LostError):
                return ask(self._reach())
        raise reaching.died()

    def _reach(self) -> ClientLine:
        """The line; a new one is told what is planned and not fetched yet, and that it is paused where it is."""
        with self._connecting:
            if self._closed:
                raise InfraError("this session asks no more: it has ended", category=Category.CANCELLED)
            if self._line is None or self._line.lost:
                if self._line is not None:
                    self._line.close()
                self._line = reaching.connect_or_start(self._folder, self._orders, self._send, self._command)
                self._begin_anew(self._line)
            return self._line

    def _tell_secrets(self, line: ClientLine) -> None:
        """Whatever is no reply's business is known there before any comes: a provider may repeat another one's key."""
        if new := redaction.registered() - self._told:
            self._told |= new
            line.tell("secrets", values=sorted(new))

    def _begin_anew(self, line: ClientLine) -> None:
        self._told = frozenset()
        self._tell_secrets(line)
        for keys, window in self._plans:
            line.tell("plan", keys=[key for key in keys if key not in self._fetched], window=window)
        for _ in range(self._paused):
            line.result(line.request("pause"))

    def _send(self, line: ClientLine, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _CHUNK):
            bodies = [self._questions[key] for key in keys[start : start + _CHUNK]]
            line.tell("questions", **line.packer.packed(bodies))


class StreamedThere:
    """Implements `Streamed`; see there."""

    def __init__(self, line: ClientLine, request: Request, pieces: SimpleQueue[str | None]) -> None:
        self._line = line
        self._request = request
        self._pieces = pieces
        self._reply: Reply | None = None

    def __iter__(self) -> Iterator[str]:
        said = False
        try:
            while self._reply is None:
                if (piece := self._next()) is None:
                    self._reply = self._whole()
                else:
                    said = True
                    yield piece
        finally:
            self._line.drop(self._request)
        if not said:  # answered before, or not streamed
            yield self._reply.text

    @property
    def reply(self) -> Reply:
        if self._reply is None:
            raise UsageError("the reply of a stream is known once its text was iterated over")
        return self._reply

    def _next(self) -> str | None:
        """The next piece, None after the last; waits for as long as the process shows that it is at work."""
        pulse = Pulse(self._line)
        while True:
            with contextlib.suppress(Empty):
                return self._pieces.get(timeout=STEP_S)
            try:
                pulse.waited()
            except LostError:
                raise reaching.died() from None

    def _whole(self) -> Reply:
        try:
            return reply_of(self._request.answer.result())
        except LostError:
            raise reaching.died() from None


class Watch:
    """Looks at a run's asker from its controller; never starts one.

    Args:
        folder: as in `RemoteAsker`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._line: ClientLine | None = None

    def status(self) -> Status | None:
        """How asking goes; None where nobody asks."""
        with contextlib.suppress(LostError, ServerError):
            if self._line is None or self._line.lost:
                self.close()
                self._line = reaching.connect(self._folder, reaching.has_none)
            if self._line is not None:
                return Status.from_dict(self._line.result(self._line.request("status")))
        return None

    def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _in_parts(line: ClientLine, op: str, keys: Sequence[str], concurrency: int | None = None) -> Mapping[str, Any]:
    parts: dict[str, Any] = {}
    request = line.request(op, keys=keys, concurrency=concurrency, on_part=lambda part: parts.update(part["part"]))
    line.result(request)
    return parts
