"""Which asker a session has: that of its process, the one that all workers share, or the providers' batch APIs."""

# ruff: noqa: PLC0415 - what is not used is not imported: each worker's imports delay the first answer of all

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmbench.asker.question import Asker
from pytest_llmbench.config import Resolved

if TYPE_CHECKING:
    from pytest_llmbench.cache.response_cache import ResponseCache
    from pytest_llmbench.observe.observer import Observer
    from pytest_llmbench.store import Store


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker tells of its session."""

    meeting_place: Path
    controller_pid: int
    command: Sequence[str]
    known: Mapping[str, Any]
    """What is known of the machine beside it."""


def asker_of(
    resolved: Resolved,
    store: Callable[[], Store],
    run_id: str,
    *,
    resuming: bool,
    worker: Worker | None,
    cache: Callable[[], ResponseCache | None],
    observer: Callable[[], Observer | None],
) -> Asker:
    """What API models are asked through.

    Args:
        resolved: settings and configuration.
        store: opens the results database, where this process needs it.
        run_id: the run.
        resuming: whether earlier sessions of the run may have stored replies.
        worker: of xdist, which shares an asker in a process of its own; None: there is this process alone.
        cache: opens where replies are looked up, where this process asks or submits.
        observer: opens who looks on, where this process asks.
    """
    if resolved.settings.batch:
        from pytest_llmbench.asker.batching import open_batch

        return open_batch(resolved, store(), run_id, cache=cache, observer=observer())
    if worker is not None:
        from pytest_llmbench.asker.orders import Orders
        from pytest_llmbench.asker.remote import RemoteAsker

        orders = Orders.of(resolved, run_id, worker.controller_pid, resuming=resuming)
        orders = dataclasses.replace(orders, command=worker.command, settings=resolved.chosen, known=worker.known)
        return RemoteAsker(worker.meeting_place, orders)
    from pytest_llmbench.asker.opening import open_local

    return open_local(resolved, store(), run_id, resuming=resuming, cache=cache(), observer=observer())
