"""Several models at once: a few threads, since downloading is waiting."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_llmbench import clock
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.models.transfer import Progress
from pytest_llmbench.records import ModelFile

_GRACE_S = 2.0
"""How long Ctrl-C waits for the threads: enough to end what they have started, unless a server has fallen silent."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of one model: its file, or why there is none."""

    name: str
    file: ModelFile | None = None
    error: LlmbenchError | None = None


class _StoppedError(Exception):
    """The user has lost patience."""


def in_parallel(
    names: Sequence[str],
    jobs: int,
    pull: Callable[[str, Progress], ModelFile],
    progress_of: Callable[[str], Progress],
) -> list[Pulled]:
    """Pull models, at most `jobs` at a time; one that fails does not keep the others from being pulled.

    Args:
        names: each once.
        jobs: at least one.
        pull: one of them; called in several threads at once.
        progress_of: a name → what is told of its progress, in any thread.

    Returns:
        What came of each, in the order of `names`.
    """
    round_ = _Round(names, pull, progress_of)
    threads = [threading.Thread(target=round_.work, name="llmbench-pull", daemon=True) for _ in names[:jobs]]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            round_.ended.get()
    except BaseException:
        round_.stop.set()
        _give_grace(sum(thread.is_alive() for thread in threads), round_.ended)
        raise
    return round_.results()


def _give_grace(running: int, ended: queue.SimpleQueue[None]) -> None:
    until_s = clock.monotonic() + _GRACE_S
    with contextlib.suppress(queue.Empty):
        for _ in range(running):
            ended.get(timeout=max(until_s - clock.monotonic(), 0))


class _Round:
    """The names that are left, and what came of the others."""

    def __init__(
        self, names: Sequence[str], pull: Callable[[str, Progress], ModelFile], progress_of: Callable[[str], Progress]
    ) -> None:
        self.stop = threading.Event()
        self.ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        """One item for each thread that has ended. `Thread.join` takes a thread for ended once Ctrl-C interrupts it."""
        self._names = names
        self._pull = pull
        self._progress_of = progress_of
        self._left: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done: dict[str, Pulled] = {}
        self._faults: list[BaseException] = []
        for name in names:
            self._left.put(name)

    def work(self) -> None:
        """Pull one after the other until none is left."""
        try:
            self._work()
        finally:
            self.ended.put(None)

    def _work(self) -> None:
        while not self.stop.is_set():
            try:
                name = self._left.get_nowait()
            except queue.Empty:
                return
            try:
                self._done[name] = self._one(name)
            except _StoppedError:
                return
            except BaseException as fault:  # noqa: BLE001  raised again where the caller sees it
                self._faults.append(fault)
                self.stop.set()

    def results(self) -> list[Pulled]:
        """What came of each name; a fault of ours is raised."""
        if self._faults:
            raise self._faults[0]
        return [self._done[name] for name in self._names]

    def _one(self, name: str) -> Pulled:
        tell = self._progress_of(name)

        def told(done: int, total: int | None, what: str) -> None:
            if self.stop.is_set():
                raise _StoppedError
            tell(done, total, what)

        try:
            return Pulled(name, file=self._pull(name, told))
        except LlmbenchError as error:
            return Pulled(name, error=error)
