"""One background event loop a process, and its sync face."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pytest_llmbench.errors import Category, InfraError

_CANCEL_GRACE_S = 5.0
_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T], stop: Stop | None = None) -> _T:
    """Run `coroutine` on the process's background loop and wait for it.

    Ctrl-C (and any other exception raised into the waiting thread) cancels it and waits a moment for its connections
    to be closed. Not to be called from a coroutine.

    Args:
        coroutine: what is run.
        stop: breaks it off from another thread.

    Returns:
        What the coroutine returns; what it raises is raised here.

    Raises:
        InfraError: `stop` was called; `cancelled`.
    """
    outcome, cancel = _start(coroutine)
    if stop is not None:
        stop.holds(cancel)
    try:
        return outcome.result()
    except BaseException:
        if not outcome.done():
            cancel()
            wait([outcome], timeout=_CANCEL_GRACE_S)
        elif outcome.cancelled() and stop is not None:
            stop.check()
        raise


class Stop:
    """Breaks off what `run` or `results` waits for; usable from any thread, before and after it began."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._cancel: Callable[[], None] = lambda: None

    def __call__(self) -> None:
        self.is_wanted = True
        self._cancel()

    def holds(self, cancel: Callable[[], None]) -> None:
        """From now on this is how it is broken off."""
        self._cancel = cancel
        if self.is_wanted:
            cancel()

    def check(self) -> None:
        """See that nobody wants it.

        Raises:
            InfraError: somebody does; `cancelled`.
        """
        if self.is_wanted:
            raise InfraError("stopped before it was complete", category=Category.CANCELLED)


def results(
    work: Callable[[Callable[[_T], None]], Coroutine[Any, Any, None]], stop: Stop | None = None
) -> Iterator[_T]:
    """Run `work` on the background loop and give what it hands over to the waiting thread, as it comes.

    Leaving the iteration early cancels the work, as in `run`.

    Args:
        work: gets the function that hands one result over.
        stop: breaks it off from another thread.

    Yields:
        The results, in the order in which they were handed over; what the work raises is raised after the last.

    Raises:
        InfraError: `stop` was called; `cancelled`.
    """
    handed: SimpleQueue[tuple[_T] | None] = SimpleQueue()
    outcome, cancel = _start(work(lambda result: handed.put((result,))))
    outcome.add_done_callback(lambda _: handed.put(None))
    if stop is not None:
        stop.holds(cancel)
    try:
        while (result := handed.get()) is not None:
            yield result[0]
        if outcome.cancelled() and stop is not None:
            stop.check()
        outcome.result()
    finally:
        if not outcome.done():
            cancel()
            wait([outcome], timeout=_CANCEL_GRACE_S)


def _start(coroutine: Coroutine[Any, Any, _T]) -> tuple[Future[_T], Callable[[], None]]:
    """Its outcome to be, and how it is cancelled from another thread."""
    loop = _background.loop()
    outcome: Future[_T] = Future()
    tasks: list[asyncio.Task[_T]] = []

    def start() -> None:
        tasks.append(loop.create_task(coroutine))
        tasks[0].add_done_callback(lambda task: _pass_on(task, outcome))

    def cancel() -> None:
        loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108  `start` may not have run yet

    loop.call_soon_threadsafe(start)
    return outcome, cancel


def before_closing(loop: asyncio.AbstractEventLoop, closer: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have `closer` awaited on `loop` before it stops, when it is the background loop; no other calls it."""
    _closers.setdefault(loop, []).append(closer)


def close() -> None:
    """Stop the background loop, cancelling what still runs; the next `run` starts a new one."""
    _background.close()


class _Background:
    """The loop and its thread, started at first use."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._running is None:
                loop = _new_loop()
                thread = threading.Thread(target=loop.run_forever, name="llmbench-http", daemon=True)
                thread.start()
                self._running = loop, thread
            return self._running[0]

    def close(self) -> None:
        with self._starting:
            running, self._running = self._running, None
        if running is None:
            return
        loop, thread = running
        wait([asyncio.run_coroutine_threadsafe(_cancel_all_tasks(), loop)], timeout=_CANCEL_GRACE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CANCEL_GRACE_S)
        if not thread.is_alive():
            loop.close()

    def forget(self) -> None:
        """After a fork: the child has neither the thread nor a right to the parent's sockets."""
        self._starting, self._running = threading.Lock(), None


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed: half the CPU time a token. For our own thread only, never as the policy."""
    try:
        import uvloop  # noqa: PLC0415  nothing third-party is imported before the first request
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _cancel_all_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for closer in _closers.pop(asyncio.get_running_loop(), []):
        await closer()
    await asyncio.get_running_loop().shutdown_default_executor()


def _pass_on(task: asyncio.Task[_T], outcome: Future[_T]) -> None:
    if task.cancelled():
        outcome.cancel()
        outcome.set_running_or_notify_cancel()  # without it `wait` does not see that it is over
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Callable[[], Coroutine[Any, Any, None]]]]
_closers = WeakKeyDictionary()
_background = _Background()
atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_background.forget)
