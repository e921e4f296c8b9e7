"""Who looks on while models are asked: the request log, traces, a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pytest_llmbench.observe.calls import CallBegun, CallEnded, Kind, Note
from pytest_llmbench.records import TestResult


class Observer(Protocol):
    """Told of every call. Called on the asking loop's thread, and sometimes from others: nothing in it may block."""

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        """A call begins.

        Returns:
            Headers to be sent along where the next hop is ours (`traceparent`); empty for none.
        """

    def ends(self, ended: CallEnded) -> None:
        """A call ended; told once for each that began.

        Also for those that never begin: cached ones, what came with a batch, and what was measured, which is told once
        nothing is timed any more.
        """

    def tests(self, result: TestResult) -> None:
        """A test ended; told in the process that stores how tests end."""

    def notes(self, note: Note) -> None:
        """Something happened that is no call."""

    def flush(self) -> None:
        """Write what others read while the run goes on; comes back when it is there."""

    def close(self) -> None:
        """Write what is not written yet; nothing is told afterwards."""


class Observers:
    """Several as one. One that raises breaks no call: it is dropped, which is told once.

    Args:
        observers: who looks on.
        tell: told in one sentence that one of them failed and looks on no more; in whatever thread that comes up.
    """

    def __init__(self, observers: Sequence[Observer], tell: Callable[[str], None]) -> None:
        self._observers = list(observers)
        self._tell = tell
        self._turn = threading.Lock()

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        for given in self._each("begins", call):
            headers.update(given)
        return headers

    def ends(self, ended: CallEnded) -> None:
        self._each("ends", ended)

    def tests(self, result: TestResult) -> None:
        self._each("tests", result)

    def notes(self, note: Note) -> None:
        self._each("notes", note)

    def flush(self) -> None:
        self._each("flush")

    def close(self) -> None:
        self._each("close")

    def _each(self, method: str, *told: Any) -> list[Any]:
        answers = []
        for observer in tuple(self._observers):
            try:
                answers.append(getattr(observer, method)(*told))
            except Exception as error:  # noqa: BLE001 - whoever looks on must never break what is looked at
                self._drop(observer, error)
        return answers

    def _drop(self, observer: Observer, error: Exception) -> None:
        with self._turn:
            if observer not in self._observers:  # another thread was first
                return
            self._observers.remove(observer)
        message = f"{type(observer).__name__} failed and looks on no more: {type(error).__name__}: {error}"
        self._tell(message)
        self.notes(Note(Kind.OBSERVER_FAILED, message))
