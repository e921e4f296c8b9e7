"""Drive one model with a profile's load → a measurement, every repetition stored the moment it completes."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pytest_llmbench import garbage
from pytest_llmbench.backends import Backend
from pytest_llmbench.bench.account import Account
from pytest_llmbench.bench.beginning import begun_again, header, measurement_key
from pytest_llmbench.bench.completing import Grade, completed, rated, with_told
from pytest_llmbench.bench.planned import Load
from pytest_llmbench.bench.profile import Profile
from pytest_llmbench.bench.stand import Stand
from pytest_llmbench.bench.subject import Book, Subject
from pytest_llmbench.bench.watch import watched
from pytest_llmbench.records import Cost, Measurement, Reply


def measure(
    subject: Subject,
    profile: Profile,
    load: Load,
    book: Book,
    *,
    grade: Grade,
    owner: str = "",
    client_error: Callable[[], Mapping[str, Any]] = dict,
    anchor_s: Callable[[], float | None] = lambda: None,
    backend: Backend | None = None,
    cost_of: Callable[[Reply], Cost] | None = None,
) -> Measurement:
    """Measure `subject`, or go on where an interrupted measurement of the same run stopped.

    Args:
        subject: what is measured.
        profile: how it is loaded and what is read off it.
        load: how much is sent.
        book: where it is stored.
        grade: rates what was measured.
        owner: see `measurement_key`.
        client_error: how far our client is off, asked once before the first request.
        anchor_s: how long fixed work takes on this machine, asked once before the first request.
        cost_of: what a reply costs, of a model that is not ours.
        backend: asks a server that is not ours what it tells of itself, before the first request and after the last.

    Returns:
        The measurement, complete and stored; taken from the store where this run already has it.

    Raises:
        InfraError: the server failed, or the measurement is not valid (a prompt came from a cache).
    """
    key = measurement_key(subject, profile.name, load.settings(), book.host_fingerprint, owner)
    found = book.store.find_measurement(book.run_id, key)
    if found is not None and found[1]:
        return found[0]
    begun = begun_again(found[0], profile, book) if found else header(subject, profile.name, load, book, key)
    account = Account(begun, book)
    account.anchor_s, account.cost_of = anchor_s(), cost_of or account.cost_of
    stand = Stand(subject, account)
    begun = dataclasses.replace(begun, server=account.served_by(), client_error=client_error())
    book.store.start_measurement(book.run_id, begun)
    loaded = _loaded(stand, account, profile, load, begun, backend=backend)
    finished = rated(loaded, profile, book, grade)
    book.store.finish_measurement(finished)
    return finished


def _loaded(
    stand: Stand, account: Account, profile: Profile, load: Load, begun: Measurement, *, backend: Backend | None
) -> Measurement:
    """The measurement when all of the load was sent; servers that nobody else wants are let go."""
    try:
        if backend is not None:
            backend.begin()
        driven = completed(_driven(stand, account, profile, load, begun), account, profile, stand.spec)
        return with_told(driven, backend, account) if backend is not None else driven
    finally:
        try:
            account.tell()
        finally:
            account.let_go()


def _driven(stand: Stand, account: Account, profile: Profile, load: Load, begun: Measurement) -> Measurement:
    """The measurement with all that the profile had timed and the monitor saw."""
    repetitions, drive = list(begun.counted), profile.drive(stand, load)
    with watched(account) as watch, _no_collector_pauses():
        try:
            repetitions.extend(account.keep(timed) for timed in drive)
        finally:
            if isinstance(drive, Generator):  # else its requests would go on for as long as anybody holds the traceback
                drive.close()
    stored = account.book.store.find_measurement(account.book.run_id, begun.key)
    assert stored is not None, "it was started"
    aside = tuple(r for r in stored[0].repetitions if r.superseded)
    ordered = sorted((*repetitions, *aside), key=lambda r: r.index)
    return dataclasses.replace(
        begun, repetitions=tuple(ordered), samples=stored[0].samples, unavailable=dict(watch.unavailable)
    )


@contextmanager
def _no_collector_pauses() -> Iterator[None]:
    """Keep Python's garbage collector out of the timed window."""
    gc.collect()
    with garbage.left_alone():
        yield
