"""A worker's end of its line to the asker's process. Requests may be sent from several threads at once."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pytest_llmbench.asker import messages
from pytest_llmbench.lifelines import Lifeline

SILENT_S = 30.0
"""A process that answers nothing for so long, not even a ping, is stuck."""
STEP_S = 0.5
_CHUNK_BYTES = 2**18

OnPart = Callable[[Mapping[str, Any]], None]
OnNeed = Callable[["ClientLine", list[str]], None]


class LostError(Exception):
    """The asker's process is gone, or was stuck and had to be ended."""


class Request:
    """Something asked for over a line: its answer to come, and what comes before it.

    Args:
        on_part: told of every message that belongs to it before the last; called on the line's thread.
    """

    def __init__(self, on_part: OnPart | None = None) -> None:
        self.number = 0
        self.answer: Future[Any] = Future()
        self._on_part = on_part

    def take(self, message: Mapping[str, Any]) -> bool:
        """Take a message; whether it was the last one."""
        if "ok" in message:
            self.answer.set_result(message["ok"])
        elif "error" in message:
            self.answer.set_exception(messages.error_of(message["error"]))
        else:
            if self._on_part is not None:
                self._on_part(message)
            return False
        return True


class ClientLine(Lifeline):
    """A worker's.

    Args:
        line: the socket.
        on_need: told the keys of the questions whose bodies the process needs; called on the line's thread.
    """

    def __init__(self, line: socket.socket, on_need: OnNeed) -> None:
        super().__init__(line, "llmbench-asker")
        self.packer = messages.Packer()
        self._on_need = on_need
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Request] = {}
        self._reader.start()

    def tell(self, op: str, **content: Any) -> None:
        """Send what is not answered.

        Raises:
            LostError: the process is gone.
        """
        with self._turn:
            self._send({"op": op, **content})

    def request(self, op: str, *, on_part: OnPart | None = None, **content: Any) -> Request:
        """Send a request.

        Raises:
            LostError: the process is gone; where it goes later, the answer raises that.
        """
        request = Request(on_part)
        with self._turn:
            request.number = next(self._numbers)
            self._waiting[request.number] = request
            self._send({"op": op, "id": request.number, **content})
        return request

    def result(self, request: Request) -> Any:
        """Wait for an answer, for as long as the process shows that it is at work; who stops waiting drops the request.

        In short steps, so that Ctrl-C is heard on every system. Steps are counted, not seconds: where this process
        was stopped for a while itself, that is not the other's silence.

        Raises:
            LostError: the process is gone, or answered nothing for `SILENT_S` and was ended.
            LlmbenchError: what the process told instead of an answer.
        """
        pulse = Pulse(self)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    return request.answer.result(STEP_S)
                pulse.waited()
        except BaseException:
            self.drop(request)
            raise

    def drop(self, request: Request) -> None:
        """Nobody waits for this request any more."""
        with contextlib.suppress(LostError):
            if not request.answer.done():
                self.tell("drop", request=request.number)

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._lost:
            raise LostError
        try:
            self._line.sendall(messages.encode(message))
        except OSError as error:
            self._lost = True
            raise LostError from error
        except BaseException:  # Ctrl-C within a message: what would follow could not be read
            self._lost = True
            raise

    def _read(self) -> None:
        try:
            with self._line:
                begun = bytearray()
                while chunk := self._line.recv(_CHUNK_BYTES):
                    begun += chunk
                    if b"\n" in chunk:
                        *lines, begun = begun.split(b"\n")
                        for line in lines:
                            self._take(messages.decode(bytes(line)))
        except (OSError, messages.MalformedError, LostError):  # a broken line reads like a closed one
            pass
        finally:
            with self._turn:
                self._lost = True
                waiting = list(self._waiting.values())
            for request in waiting:
                if not request.answer.done():
                    request.answer.set_exception(LostError())

    def _take(self, message: Mapping[str, Any]) -> None:
        if "need" in message:
            self._on_need(self, message["need"])
        elif (request := self._waiting.get(message.get("id") or 0)) is not None and request.take(message):
            del self._waiting[request.number]


class Pulse:
    """Whether the process shows that it is at work: it is pinged while somebody waits, in steps of `STEP_S`.

    Args:
        line: over which.
    """

    def __init__(self, line: ClientLine) -> None:
        self._line = line
        self._ping: Request | None = None
        self._silent_s = 0.0

    def waited(self) -> None:
        """One more step went by.

        Raises:
            LostError: the process is gone, or answered nothing for `SILENT_S` and was ended.
        """
        self._silent_s += STEP_S
        if self._ping is None or self._ping.answer.done():
            self._ping, self._silent_s = self._line.request("ping"), 0.0
        elif self._silent_s >= SILENT_S:
            self._line.end_peer()
            raise LostError("it did not answer and was ended")
