"""The configurations of a run that can be recommended, each with what was measured of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.quality_answers import answers
from pytest_llmbench.profiles.quality_paired import bits, family
from pytest_llmbench.profiles.ratings import TABLE, grade_of
from pytest_llmbench.records import Cell, Measurement, Run
from pytest_llmbench.stats import Interval, wilson

_NAMED_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", re.IGNORECASE)
_ORDER = ("interactive", "batch", "quality", "load", "long_context", "stress")
"""Profiles by how little they ask of a server's memory beyond the model itself."""
_STAYED = "no GPU:"
"""How the note of a measurement begins whose layers did not get to a card."""
_WRITING = ("interactive", "batch", "stress", "long_context")
"""Profiles by how well their decode speed says what a reader sees."""


@dataclass(frozen=True, slots=True)
class Right:
    """Questions answered right."""

    right: int
    n: int

    @property
    def share(self) -> float:
        return self.right / self.n

    @property
    def interval(self) -> Interval:
        """Wilson's, 95 %."""
        return wilson(self.right, self.n)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One configuration."""

    configuration: str
    model: str
    """As measurements name it."""
    place: int
    """In the order of the plan, or of what was measured."""
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    """Profile → what was measured."""
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """Profile → its cell, where it was planned in a matrix."""

    @property
    def family(self) -> str:
        """The model without its quantization."""
        return family(self.model)[0]

    @property
    def quant(self) -> str:
        """By its name, else by what its server tells; empty where neither does."""
        return family(self.model)[1] or str(self.details.get("quantization") or "").upper()

    @cached_property
    def details(self) -> Mapping[str, Any]:
        """What somebody else's server tells of the model; empty for our own."""
        told = (each.server.get("details") for each in self.measurements.values())
        return next(filter(None, told), {})

    @cached_property
    def subject(self) -> Mapping[str, Any]:
        """What was measured: the file's hash, threads, layers on cards, ...; empty where nothing was."""
        told = (each.settings.get("subject") for each in self.measurements.values())
        return next(filter(None, told), {})

    @property
    def bits(self) -> float | None:
        """About how many bits a weight has; None where the name does not tell."""
        return bits(self.quant)

    @property
    def server(self) -> str:
        """Name of its server's settings in a matrix; empty outside of one."""
        return next((cell.server for cell in self.cells.values()), "")

    @property
    def size_bytes(self) -> int | None:
        """Of the model's file."""
        told = (cell.size_bytes for cell in self.cells.values() if cell.size_bytes)
        return next(told, None) or self.details.get("size_bytes")

    @property
    def parameters(self) -> float | None:
        """Told by the file or the server, else by the name (`135m`, `7b`)."""
        told = next((cell.parameters for cell in self.cells.values() if cell.parameters), None)
        told = told or self.details.get("parameter_count")
        if told:
            return float(told)
        found = _NAMED_SIZE.search(self.model)
        return float(found[1]) * (1e6 if found[2] in "mM" else 1e9) if found else None

    @cached_property
    def right(self) -> Right | None:
        """How many questions it answered right; None: nobody asked it any that could be scored."""
        measured = self.measurements.get("quality")
        scored = [each.correct for each in answers(measured).values() if each.correct is not None] if measured else []
        return Right(sum(scored), len(scored)) if scored else None

    @cached_property
    def levels(self) -> dict[str, float | None]:
        """Metric → the number that it is ranked by, as far as `ranking.level` was asked."""
        return {}

    def decode_tps(self) -> float | None:
        """Median decode speed, in the load that is most like a reader's."""
        measured = self.first(_WRITING, "decode_tps")
        return measured.series("decode_tps").median if measured else None

    def memory_bytes(self, profile: str = "") -> float | None:
        """Peak memory of the server, in a profile, or in the one that asks least beyond the model itself."""
        measured = self.first((profile, *_ORDER), "peak_rss_bytes")
        return measured.scalars.get("peak_rss_bytes") if measured else self._told_memory_bytes()

    def vram_bytes(self, profile: str = "") -> float | None:
        """As `memory_bytes`, of graphics cards; 0 where nothing of it lies there, None where nobody tells."""
        measured = [self.measurements[name] for name in (profile, *_ORDER) if name in self.measurements]
        peaks = (each.scalars.get("peak_vram_bytes") for each in measured)
        if (peak := next((each for each in peaks if each is not None), None)) is not None:
            return peak
        told = self.details.get("vram_bytes")
        if told is None and self.is_ours and (not self.subject.get("gpu_layers") or self.stayed_on_cpu):
            return 0.0
        return told

    @property
    def is_ours(self) -> bool:
        """Whether its server was started by us."""
        return "gpu_layers" in self.subject

    @property
    def stayed_on_cpu(self) -> bool:
        """Whether layers that were to go to a card did not get there."""
        return any(note.startswith(_STAYED) for each in self.measurements.values() for note in each.notes)

    def _told_memory_bytes(self) -> float | None:
        """Main memory of somebody else's server; where it tells which share of all lies on cards, without that."""
        told = self.details.get("memory_bytes")
        on_cards = self.details.get("vram_bytes") if "offloaded_share" in self.details else 0
        return told and told - (on_cards or 0)

    def first(self, profiles: Sequence[str], metric: str) -> Measurement | None:
        """The first of the profiles that has this metric."""
        found = (self.measurements[name] for name in profiles if name in self.measurements)
        return next((each for each in found if each.series(metric)), None)

    def is_poor(self, profile: str, metric: str) -> bool:
        """Whether a metric misses its threshold, by the project's own marks where it has some."""
        measured = self.measurements[profile]
        told = [row["grade"] for row in _grades(measured) if row.get("metric") == metric and row.get("grade")]
        if not told and (series := measured.series(metric)):
            statistic = METRICS[metric].marks.statistic
            told = [grade_of(getattr(series, statistic), METRICS[metric])]
        return any(grade in {"poor", "failed"} for grade in told)


def candidates(run: Run) -> list[Candidate]:
    """The configurations of a run, in their order.

    Measurements of a matrix belong to the configuration of their cell; others to their model, numbered where one
    profile was measured more than once.
    """
    of_cell = {cell.measurement_id: cell for cell in run.cells if cell.measurement_id}
    found: dict[str, tuple[str, dict[str, Measurement], dict[str, Cell]]] = {}
    for cell in sorted(run.cells, key=lambda each: each.place):
        found.setdefault(cell.configuration, (cell.model, {}, {}))[2][cell.profile] = cell
    for measurement in run.measurements:
        owner = of_cell.get(measurement.id)
        name = owner.configuration if owner else _unused(measurement, found)
        found.setdefault(name, (measurement.model, {}, {}))[1][measurement.profile] = measurement
    return [
        Candidate(name, model, place, measured, cells)
        for place, (name, (model, measured, cells)) in enumerate(found.items())
    ]


def _unused(measurement: Measurement, found: Mapping[str, tuple[str, dict[str, Measurement], Any]]) -> str:
    """The model's name, or `name #2` where that one was measured by this profile already."""
    name, number = measurement.model, 1
    while name in found and measurement.profile in found[name][1]:
        number += 1
        name = f"{measurement.model} #{number}"
    return name


def _grades(measurement: Measurement) -> list[dict[str, Any]]:
    table = next((each for each in measurement.tables if each.name == TABLE), None)
    return [dict(zip(table.columns, row, strict=False)) for row in table.rows] if table else []
