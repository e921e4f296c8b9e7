"""What a batch tells, in words and tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from pytest_llmbench.bench import Conclusion
from pytest_llmbench.profiles.batch_levels import Level, Speedup, levels, offsets_of, part_of, speedup
from pytest_llmbench.profiles.interactive import length_notes
from pytest_llmbench.profiles.machine_readings import (
    hottest,
    machine_notes,
    memory_note,
    memory_table,
    parts,
    readings,
)
from pytest_llmbench.profiles.over_time import Drift
from pytest_llmbench.profiles.words import figure, seconds
from pytest_llmbench.records import Measurement, Table

_SLOTS_COLUMNS = (
    ("slots", ""),
    ("documents", ""),
    ("median", "s"),
    ("longest", "s"),
    ("variation", "share"),
    ("an hour", "1/h"),
    ("speed-up", ""),
    ("from", ""),
    ("to", ""),
    ("CPU", "s"),
    ("drift", "share"),
    ("p", ""),
)
_FEWEST_SAMPLES = 5
_FULL = 0.9
"""Share of the slots that can be busy on average, below which it is said that a pass is too short for them."""


def conclude(measurement: Measurement, earlier: Sequence[Measurement]) -> Conclusion:  # noqa: ARG001 - every profile's
    """Documents an hour at the number of slots that is surely the fastest, and what is to be known about it."""
    found = levels(measurement)
    if not found:
        return Conclusion("no document was timed")
    gains = [speedup(found[0], level) for level in found]
    best = max((i for i in range(len(found)) if i == 0 or gains[i].sure), key=lambda i: found[i].per_hour)
    scalars = {"documents_per_hour": found[best].per_hour, **hottest(measurement)}
    if len(found) > 1:
        scalars["speedup"] = max(gains[1:], key=lambda gain: gain.times).times
    costs = [cpu_per_document_s(measurement, level) for level in found]
    tables = (_slots_table(found, gains, costs), _time_table(found), *memory_table(measurement))
    return Conclusion(_sentence(found, gains), scalars, tables, tuple(_notes(measurement, found)))


def _sentence(found: Sequence[Level], gains: Sequence[Speedup]) -> str:
    first = found[0]
    median, n = seconds(statistics.median(first.times_s)), len(first.done)
    told = [f"{first.called} a document takes {median} (median, n = {n}), {figure(first.per_hour)} documents an hour"]
    told += [_gain(level, gain) for level, gain in zip(found[1:], gains[1:], strict=True)]
    told += [
        f"on the way, {level.called}, documents became {_pace(level.drift)}: time per document {level.drift.interval()}"
        for level in found
        if level.drift.found
    ]
    return "; ".join(told)


def _gain(level: Level, gain: Speedup) -> str:
    told = f"{level.slots} slots make it {figure(level.per_hour)}: {gain.times:.2f}×"
    if not math.isfinite(gain.low):
        return f"{told}, too few documents to be sure of it"
    told += f" (95 %: {gain.low:.2f} to {gain.high:.2f})"
    if gain.sure:
        return told
    return f"{told}, {'slower' if gain.high < 1 else 'no sure gain'}"


def _pace(change: Drift) -> str:
    return "slower" if (change.change or 0) > 0 else "faster"


def _notes(measurement: Measurement, found: Sequence[Level]) -> Iterator[str]:
    for level in found:
        if level.drift.change is None:
            yield f"{level.called}: too few documents one after the other ({level.drift.n}) to tell a drift"
        elif not level.drift.found:
            yield f"{level.called}: no drift shown; time per document changed by {level.drift.interval()} over the pass"
    yield from _slots_notes(found)
    if len(found) > 1 and any(level.drift.found for level in found):
        yield "the passes were made one after the other: where the machine drifts, the speed-up holds that drift too"
    if len(found[0].done) > 1 and any(part_of(r) != part_of(found[0].done[0]) for level in found for r in level.done):
        yield "the measurement was interrupted: times of its parts are joined without the pause"
    yield from length_notes(measurement)
    costs = {level.called: cpu_per_document_s(measurement, level) for level in found}
    told = [f"{seconds(cost)} {called}" for called, cost in costs.items() if cost is not None]
    if len(told) > 1:
        yield f"CPU time of the server for one document: {', '.join(told)}"
    for level in found:
        if note := memory_note(_during(measurement, level, "rss_bytes"), level.called):
            yield note
    yield from machine_notes(measurement)


def _slots_notes(found: Sequence[Level]) -> Iterator[str]:
    """What a reader of the speed-up has to know."""
    for level in found[1:]:
        n = len(level.done)
        most = n / -(-n // level.slots)
        if most < _FULL * level.slots:
            yield (
                f"{level.called}, the last of {n} documents left slots idle: of equal ones, no more than {most:.2g}× "
                "could be seen"
            )
    if len(found) > 1:
        yield "figures over all requests mix the passes; the tables tell them apart"


def _during(measurement: Measurement, level: Level, name: str) -> list[tuple[float, float]]:
    """What was read in a pass; nothing where the measurement was interrupted, since clocks were set back."""
    if len(parts(measurement.samples)) != 1 or any(part_of(r) != part_of(level.done[0]) for r in level.done):
        return []
    begin = min(r.at_s or 0.0 for r in level.done)
    end = max((r.at_s or 0.0) + r.metrics["e2e_s"] for r in level.done)
    return [point for point in readings(measurement.samples, name) if begin <= point[0] <= end]


def cpu_per_document_s(measurement: Measurement, level: Level) -> float | None:
    """CPU time of the server for one document: what others on the machine do hardly touches it, unlike wall time."""
    points = _during(measurement, level, "server_cpu_s")
    if len(points) < _FEWEST_SAMPLES:
        return None
    (begin, before), (end, after) = points[0], points[-1]
    return (after - before) / (end - begin) * level.busy_s / len(level.done)


def _slots_table(found: Sequence[Level], gains: Sequence[Speedup], costs: Sequence[float | None]) -> Table:
    passes = zip(found, gains, costs, strict=True)
    rows = tuple((*_slots_row(level, gain, level is found[0]), cost, *_drifted(level)) for level, gain, cost in passes)
    note = (
        "speed-up: documents an hour against the first row, document by document, with its 95 % interval; CPU: time of "
        "the server for one document; drift: change of the time per document over the pass, its length taken out "
        "(Theil-Sen; p: Mann-Kendall)"
    )
    chart = {"kind": "bars", "x": "slots", "y": ["an hour"]}
    columns, units = zip(*_SLOTS_COLUMNS, strict=True)
    return Table("slots", "Documents an hour by slots", columns, units, rows, chart, note)


def _slots_row(level: Level, gain: Speedup, first: bool) -> tuple[float | None, ...]:
    times = level.times_s
    varied = statistics.stdev(times) / statistics.fmean(times) if len(times) > 1 else None
    gained = (None, None, None) if first else (gain.times, _bound(gain.low), _bound(gain.high))
    return (level.slots, len(times), statistics.median(times), max(times), varied, level.per_hour, *gained)


def _drifted(level: Level) -> tuple[float | None, ...]:
    return (None, None) if level.drift.change is None else (level.drift.change, level.drift.p_value)


def _bound(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _time_table(found: Sequence[Level]) -> Table:
    """Each document where it was begun, a column a pass."""
    names = tuple(level.called for level in found)
    rows = []
    for column, level in enumerate(found):
        offsets = offsets_of(level.done)
        for each in level.done:
            cells: list[float | str | None] = [None] * len(found)
            cells[column] = each.metrics["e2e_s"]
            begun = offsets[part_of(each)] + (each.at_s or 0.0)
            rows.append((begun, each.labels["document"], each.usage.prompt_tokens, *cells))
    columns = ("time", "document", "prompt", *names)
    units = ("s", "", "tokens", *("s" for _ in names))
    chart = {"kind": "line", "x": "time", "y": list(names)}
    note = "time: since the first document of the pass was begun"
    return Table("documents_over_time", "Seconds per document over time", columns, units, tuple(rows), chart, note)
