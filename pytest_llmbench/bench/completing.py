"""A measurement whose load is done: what it took of the machine, what its server told, what its profile finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pytest_llmbench.backends import Backend
from pytest_llmbench.bench.account import Account
from pytest_llmbench.bench.graphics import graphics
from pytest_llmbench.bench.profile import Profile
from pytest_llmbench.bench.subject import Book
from pytest_llmbench.records import Measurement, ServerSpec, Table
from pytest_llmbench.servers.memory_learned import surprise

Grade = Callable[[Measurement, Sequence[str]], tuple[str, Table | None]]
"""(a measurement, the metrics it is graded by) → one word, and how each metric did."""


def completed(measurement: Measurement, account: Account, profile: Profile, spec: ServerSpec | None) -> Measurement:
    """The measurement with what it took of the machine, and what there is to say about how it went."""
    server = account.server
    scalars: dict[str, float] = {}
    if server.load_s is not None:
        scalars["load_s"] = server.load_s
    if account.anchor_s is not None:
        scalars["anchor_s"] = account.anchor_s
    if (peak := account.peak_rss_bytes()) is not None:
        scalars["peak_rss_bytes"] = peak
        if account.book.memory_bytes:
            scalars["memory_share"] = peak / account.book.memory_bytes
    used = graphics(measurement.samples, spec, server)
    scalars |= used.scalars
    resumed = sum(1 for repetition in account.kept if not repetition.is_token)
    notes = [f"{resumed} repetitions were measured before an interruption"] if resumed else []
    notes += [*measurement.notes, *account.notes, *_dirty_notes(measurement, retaken=profile.resumable)]
    notes += used.notes
    notes += surprise(server.estimated_bytes, scalars.get("peak_rss_bytes"))
    return dataclasses.replace(measurement, scalars=scalars, notes=tuple(notes), server=account.served_by())


def with_told(measurement: Measurement, backend: Backend, account: Account) -> Measurement:
    """The measurement with what its server tells of itself after the last request."""
    backend.end(measurement, account.sent)
    told = backend.told()
    server = {**measurement.server, "details": dict(told.details)} if told.details else measurement.server
    return dataclasses.replace(
        measurement,
        server=server,
        scalars={**measurement.scalars, **told.scalars},
        notes=(*measurement.notes, *told.notes),
        tables=(*measurement.tables, *told.tables),
    )


def rated(measurement: Measurement, profile: Profile, book: Book, grade: Grade) -> Measurement:
    """The measurement with what its profile finds in it, and how good that is."""
    return _graded(_concluded(measurement, profile, _earlier(measurement, book)), profile, grade)


def _dirty_notes(measurement: Measurement, *, retaken: bool) -> list[str]:
    """How many repetitions others disturbed: those taken again, and those that stand as they are.

    Args:
        measurement: with all its repetitions.
        retaken: whether what is superseded was taken again; else it was set aside when the measurement began anew.
    """
    n = len(measurement.asked)
    again = sum(1 for r in measurement.repetitions if retaken and r.superseded and r.dirty)
    dirty = [r.dirty for r in measurement.counted if r.dirty]
    repetitions = "1 repetition was" if again == 1 else f"{again} repetitions were"
    notes = [f"{repetitions} taken again because others used the machine"] if again else []
    if dirty:
        disturbed = f"{len(dirty)} of {n} repetitions {'was' if len(dirty) == 1 else 'were'}"
        notes.append(f"{disturbed} measured while others used the machine ({dirty[0]})")
    return notes


def _earlier(measurement: Measurement, book: Book) -> list[Measurement]:
    """The run's other measurements of this profile, in their order."""
    run = book.store.load_run(book.run_id)
    return [m for m in run.measurements if m.profile == measurement.profile and m.id != measurement.id]


def _concluded(measurement: Measurement, profile: Profile, earlier: Sequence[Measurement]) -> Measurement:
    found = profile.conclude(measurement, earlier)
    return dataclasses.replace(
        measurement,
        scalars={**measurement.scalars, **found.scalars},
        sentence=found.sentence,
        tables=(*found.tables, *measurement.tables),
        notes=(*measurement.notes, *found.notes),
    )


def _graded(measurement: Measurement, profile: Profile, grade: Grade) -> Measurement:
    word, table = grade(measurement, profile.rated)
    sentence = f"{word}: {measurement.sentence}" if word else measurement.sentence
    tables = (*measurement.tables, table) if table else measurement.tables
    return dataclasses.replace(measurement, rating=word, sentence=sentence, tables=tables)
