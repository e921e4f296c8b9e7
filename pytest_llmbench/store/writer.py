"""Group commit: whatever several threads want written meanwhile goes into one transaction.

A transaction of its own costs half a millisecond of the interpreter's time, however little it writes; thousands of
replies a second leave no room for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection

from pytest_llmbench import clock
from pytest_llmbench.store.database import Database
from pytest_llmbench.store.failures import is_locked

_One = TypeVar("_One")
_Done = TypeVar("_Done")

Work = Callable[[Connection, Sequence[_One]], Sequence[_Done]]
"""Writes several at once, in their order; gives one result for each."""

GATHER_S = 0.002
"""How long the first of a group waits for company."""
GATHER_BUSY_S = 0.01
"""The same after a group of `BUSY`: with so many under way nobody waits for a single one."""
BUSY = 16
PATIENT_S = 0.05
"""How long what nobody waits for waits for company, where nothing else is ordered meanwhile."""

MOST = 2000
"""How many are written in one transaction: others want the file, too."""

_Order = tuple[Work[Any, Any], Any, "Future[Any]"]


class Writer:
    """One thread that writes for all others, in the order of their orders.

    Args:
        database: where to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._urgent = threading.Event()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="llmbench-store", daemon=True)
        self._thread.start()

    def submit(self, work: Work[_One, _Done], one: _One, *, patient: bool = False) -> Future[_Done]:
        """Order something to be written, and do not wait for it.

        Args:
            work: how; what is ordered with the same function meanwhile is handed to it together. Those of different
                functions may change places.
            one: what.
            patient: nobody waits for it.

        Returns:
            What `work` gave for it, once it is committed; or its `StoreError`, then nothing of it was written. It
            cannot be cancelled.
        """
        done: Future[_Done] = Future()
        done.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                raise RuntimeError("the store is closed")
            self._orders.put((work, one, done))
        if not patient:
            self._urgent.set()
        return done

    def close(self) -> None:
        """Write what was ordered, and end the thread."""
        with self._closing:
            self._closed = True
            self._orders.put(None)
        self._urgent.set()
        self._thread.join()

    def _serve(self) -> None:
        orders: list[_Order] = []
        while (first := self._orders.get()) is not None:
            if self._urgent.wait(PATIENT_S):
                clock.sleep(GATHER_BUSY_S if len(orders) >= BUSY else GATHER_S)
            self._urgent.clear()
            orders, over = self._taken(first)
            self._write(orders)
            if over:
                return

    def _taken(self, first: _Order) -> tuple[list[_Order], bool]:
        """What is there now, and whether nothing more is to come."""
        orders = [first]
        while len(orders) < MOST:
            try:
                order = self._orders.get_nowait()
            except Empty:
                break
            if order is None:
                return orders, True
            orders.append(order)
        return orders, False

    def _write(self, orders: Sequence[_Order]) -> None:
        try:
            results = self._transaction(orders)
        except BaseException as error:  # noqa: BLE001 - told to whoever ordered it
            if len(orders) == 1 or is_locked(error):  # one by one each would wait for it as long
                for _, _, done in orders:
                    done.set_exception(error)
                return
            for order in orders:  # one cannot be kept: the others can
                self._write([order])
            return
        for (_, _, done), result in zip(orders, results, strict=True):
            done.set_result(result)

    def _transaction(self, orders: Sequence[_Order]) -> list[Any]:
        groups: dict[Work[Any, Any], list[int]] = {}
        for index, (work, _, _) in enumerate(orders):
            groups.setdefault(work, []).append(index)
        results: list[Any] = [None] * len(orders)
        with self._database.writing() as connection:
            for work, indices in groups.items():
                done = work(connection, [orders[index][1] for index in indices])
                for index, result in zip(indices, done, strict=True):
                    results[index] = result
        return results
