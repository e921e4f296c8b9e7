"""The system monitor beside a measurement, and what others do on the machine meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pytest_llmbench import clock
from pytest_llmbench.bench.account import Account
from pytest_llmbench.errors import StoreError
from pytest_llmbench.monitor import (
    ForeignMeter,
    Monitor,
    ProcessMeter,
    advise,
    collapsed,
    foreign,
    usable_cores,
)
from pytest_llmbench.records import MonitorSample
from pytest_llmbench.servers import container

_SAVED_TOGETHER = 10
"""Samples a transaction: a kill loses the last few seconds of them, and the disk is left alone."""


@contextmanager
def watched(account: Account) -> Iterator[Monitor]:
    """Sample the machine and the server into the store, and let each timed request know whether others disturbed it.

    Raises:
        StoreError: at the end, when samples could not be written.
    """
    waiting: list[MonitorSample] = []

    def save() -> None:
        account.book.store.save_samples(account.measurement_id, waiting)
        waiting.clear()

    def keep(sample: MonitorSample) -> None:
        account.saw(sample.readings)
        waiting.append(sample)
        if len(waiting) >= _SAVED_TOGETHER:
            save()

    account.window = _window(account)
    interval_s = account.book.monitor_interval_s
    monitor = Monitor(lambda: account.server.pid, interval_s=interval_s, keep=keep, begun_at=account.begun_at)
    try:
        with monitor:
            yield monitor
    except BaseException:
        with suppress(StoreError):  # what ended the measurement is to be told, not that its last samples are lost
            save()
        raise
    save()


@contextmanager
def contention_told(account: Account, threads: int | None) -> Iterator[None]:
    """Tell the user at once when the server's threads lose their cores to others during this, a warm-up.

    Args:
        account: of the measurement.
        threads: of the server; None where it is not ours.
    """
    pid = account.server.pid
    if threads is None or pid is None:
        yield
        return
    meter, others, begun_at = ProcessMeter(pid), ForeignMeter(lambda: [pid]), clock.monotonic()
    before, cpu_s, waited_s = others.read(), meter.cpu_s(), meter.waited_s()
    yield
    seen, wall_s = foreign(before, others.read()), clock.monotonic() - begun_at
    used_s = _since(cpu_s, meter.cpu_s())
    if used_s is None:  # the server died
        return
    waited_s = _since(waited_s, meter.waited_s())
    said = collapsed(threads=threads, wall_s=wall_s, server_cpu_s=used_s, server_waited_s=waited_s, seen=seen)
    if said := said or advise(threads, usable_cores(container.limits().cpus), seen):
        account.note(said)
        account.book.say(said)


def _window(account: Account) -> Callable[[], Callable[[], str]]:
    """See `account.Window`. A server that is not ours may run on this machine: its load is not told from others'."""
    meter = ForeignMeter(lambda: [] if account.server.pid is None else [account.server.pid])

    def begin() -> Callable[[], str]:
        before, pid = meter.read(), account.server.pid
        return lambda: "" if pid is None else foreign(before, meter.read()).dirty

    return begin


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
