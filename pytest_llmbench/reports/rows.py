"""A measurement → the row that every report shows of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Measurement, Series, Table
from pytest_llmbench.reports.facts import Fact, server_facts
from pytest_llmbench.reports.findings import (
    GradeRow,
    Reading,
    client_error,
    client_ttft_error_s,
    grade_rows,
    readings,
    tables_of,
    unavailable,
)

_NAME = re.compile(r"(?P<model>.+?)(?P<quant>:[^:/\s]+)?(?: \(requantized from (?P<origin>[^)]+)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of one measurement, in the metric's own unit; percentiles are nearest-rank."""

    name: str
    title: str
    unit: str
    n: int
    min: float | None
    p50: float | None
    p95: float | None
    max: float | None
    mean: float | None
    cv: float | None
    """Standard deviation / mean; None below two values."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model × quantization × profile; times in seconds, speeds in tokens per second, memory in bytes."""

    measurement_id: str
    label: str
    """The model with its provenance, as it is always named to a reader."""
    model: str
    quant: str
    """Empty where neither the name nor the server tells one (a plain file, most servers of somebody else)."""
    requantized_from: str
    profile: str
    engine: str
    build: str
    server: tuple[Fact, ...]
    """The process that was measured; and those before it, where it was started again."""
    load_s: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    ttft_n: int
    prompt_tps_p50: float | None
    decode_tps_p50: float | None
    peak_rss_bytes: float | None
    peak_vram_bytes: float | None
    """On graphics cards; None where there is none, or nothing of the server lies there."""
    rating: str
    """One word, empty where nothing that is rated was measured."""
    sentence: str
    notes: tuple[str, ...]
    metrics: tuple[MetricRow, ...]
    grades: tuple[GradeRow, ...]
    """The metrics that the rating comes from, and those that have words only."""
    tables: tuple[Table, ...]
    repetitions: int
    """Those that series are made of, without the tokens of a set text."""
    taken_again: int
    """Repetitions set aside because others used the machine meanwhile; each has a successor."""
    disturbed: int
    """Repetitions that count, though others used the machine meanwhile."""
    readings: tuple[Reading, ...]
    """The system monitor, summed up."""
    unavailable: tuple[Fact, ...]
    """What the monitor could not read, and why."""
    client_error: str
    """How far our client was off on a stream of known timing, in words."""
    client_ttft_error_s: float | None

    @property
    def name(self) -> str:
        """Model and profile."""
        return f"{self.label} · {self.profile}"

    @property
    def remark(self) -> str:
        """The sentence without the rating's word, which stands beside it."""
        text = self.sentence.removeprefix(f"{self.rating}:").strip() if self.rating else self.sentence.strip()
        return f"{text[:1].upper()}{text[1:].removesuffix('.')}." if text else ""


def model_row(measurement: Measurement) -> ModelRow:
    """What is shown of one measurement."""
    ttft = measurement.series("ttft_s")
    model, quant, origin = name_parts(measurement.model, str(measurement.server.get("engine") or ""))
    quant = quant or _told(measurement.server, "quantization")
    return ModelRow(
        measurement_id=measurement.id,
        label=measurement.model,
        model=model,
        quant=quant,
        requantized_from=origin,
        profile=measurement.profile,
        engine=str(measurement.server.get("engine") or ""),
        build=str(measurement.server.get("build") or "") or told_version(measurement.server),
        server=server_facts(measurement.server),
        load_s=_read(measurement.series("load_s"), "p50"),
        ttft_p50_s=_read(ttft, "p50"),
        ttft_p95_s=_read(ttft, "p95"),
        ttft_n=ttft.n,
        prompt_tps_p50=_read(measurement.series("prompt_tps"), "p50"),
        decode_tps_p50=_read(measurement.series("decode_tps"), "p50"),
        peak_rss_bytes=_read(measurement.series("peak_rss_bytes"), "p50"),
        peak_vram_bytes=_read(measurement.series("peak_vram_bytes"), "p50"),
        rating=measurement.rating,
        sentence=measurement.sentence,
        notes=tuple(measurement.notes),
        metrics=_metric_rows(measurement),
        grades=grade_rows(measurement),
        tables=tables_of(measurement),
        repetitions=len(measurement.asked),
        taken_again=sum(1 for repetition in measurement.repetitions if repetition.superseded and repetition.dirty),
        disturbed=sum(1 for repetition in measurement.counted if repetition.dirty),
        readings=readings(measurement),
        unavailable=unavailable(measurement),
        client_error=client_error(measurement),
        client_ttft_error_s=client_ttft_error_s(measurement),
    )


def name_parts(label: str, engine: str) -> tuple[str, str, str]:
    """(model, quantization, what it was requantized from); a foreign server's colon is part of its name."""
    if engine == "external":
        return label, "", ""
    found = _NAME.fullmatch(label)
    if found is None:
        return label, "", ""
    return found["model"], (found["quant"] or "")[1:], found["origin"] or ""


def told_version(server: Mapping[str, Any]) -> str:
    """`ollama 0.12.6`, as a foreign server tells it; empty where it does not."""
    return " ".join(filter(None, (_told(server, "kind"), _told(server, "version"))))


def _told(server: Mapping[str, Any], name: str) -> str:
    details = server.get("details")
    return str(details.get(name) or "") if isinstance(details, Mapping) else ""


def _metric_rows(measurement: Measurement) -> tuple[MetricRow, ...]:
    own = [name for name in measurement.units if name not in METRICS]
    known = measurement.metrics
    return tuple(
        _metric_row(measurement.series(name) if name in known else Series(name, measurement.units.get(name, ""), ()))
        for name in [*METRICS, *own]
    )


def _metric_row(series: Series) -> MetricRow:
    metric = METRICS.get(series.name)
    return MetricRow(
        name=series.name,
        title=metric.title if metric else series.name,
        unit=series.unit or (metric.unit if metric else ""),
        n=series.n,
        min=_read(series, "min"),
        p50=_read(series, "p50"),
        p95=_read(series, "p95"),
        max=_read(series, "max"),
        mean=_read(series, "mean"),
        cv=_read(series, "cv"),
    )


def _read(series: Series, statistic: str) -> float | None:
    value: float | None = getattr(series, statistic) if series else None
    return None if value is None or not math.isfinite(value) else value
