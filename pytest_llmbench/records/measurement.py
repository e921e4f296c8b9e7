"""What was measured: repetitions, and the series read off them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.records.record import Record
from pytest_llmbench.records.reply import Timing, Usage

Label = str | float | int | bool


@dataclass(frozen=True, slots=True)
class Series:
    """The raw values of one metric over the repetitions of a measurement, with what is read off them.

    Percentiles are nearest-rank (Hyndman & Fan 1996, type 1): a value that was really measured, no interpolation.
    """

    name: str
    unit: str
    values: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many values were measured."""
        return len(self.values)

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile.

        Args:
            percent: 0 < percent <= 100.

        Raises:
            ValueError: nothing was measured, or percent is outside its range.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"percent must lie in (0, 100], not {percent}")
        return sorted(self._measured())[math.ceil(percent / 100 * self.n) - 1]

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p95(self) -> float:
        return self.percentile(95)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    @property
    def median(self) -> float:
        return statistics.median(self._measured())

    @property
    def mean(self) -> float:
        return statistics.fmean(self._measured())

    @property
    def min(self) -> float:
        return min(self._measured())

    @property
    def max(self) -> float:
        return max(self._measured())

    @property
    def stdev(self) -> float | None:
        """Sample standard deviation; None below two values."""
        return _stdev(self.values) if self.n > 1 else None

    @property
    def cv(self) -> float | None:
        """Coefficient of variation, stdev / mean; None below two values or at mean 0."""
        return self.stdev / self.mean if self.stdev is not None and self.mean else None

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    def __len__(self) -> int:
        return self.n

    def __bool__(self) -> bool:
        return bool(self.values)

    def _measured(self) -> tuple[float, ...]:
        if not self.values:
            raise ValueError(f"{self.name} was not measured")
        return self.values


def _stdev(values: Sequence[float]) -> float:
    """As `statistics.stdev` to the last digits, but without fractions, which take ten times as long."""
    try:
        mean = math.fsum(values) / len(values)
        apart = [value - mean for value in values]
        squares = math.fsum(each * each for each in apart) - math.fsum(apart) ** 2 / len(apart)
    except (OverflowError, ValueError):  # infinite ones of both signs, or beyond what a float holds
        return statistics.stdev(values)
    return math.sqrt(max(squares, 0.0) / (len(apart) - 1))


@dataclass(frozen=True, slots=True)
class Repetition(Record):
    """One timed request of a measurement."""

    index: int
    round: int
    prompt: str
    metrics: Mapping[str, float]
    """Metric name → value; a metric that was not measured is absent."""
    reply_id: str = ""
    timing: Timing = field(default_factory=Timing)
    usage: Usage = field(default_factory=Usage)
    labels: Mapping[str, Label] = field(default_factory=dict)
    """What it is one of: `{"context_tokens": 4096, "depth": 0.5}`."""
    at_s: float | None = None
    """When it was begun, in seconds after the measurement was; of a resumed measurement, after it was resumed."""
    dirty: str = ""
    """Why its times are not to be trusted: others used the machine. Empty where it is clean."""
    superseded: bool = False
    """It was taken again: kept for the account, and no part of any series."""

    @property
    def is_token(self) -> bool:
        """Whether it is one token of a set text, which is told and not answered: no repetition to a reader."""
        return "token_id" in self.labels


@dataclass(frozen=True, slots=True)
class MonitorSample(Record):
    """What the machine and the server were doing at one moment of a measurement."""

    at_s: float
    """Seconds after the measurement was begun."""
    readings: Mapping[str, float]
    """Reading → value; what could not be read is absent."""


@dataclass(frozen=True, slots=True)
class Table(Record):
    """A finding of a profile as rows and columns, for every report alike.

    Args:
        units: one a column: `s`, `tok/s`, `B`, `share`, `tokens`, or empty for texts and counts.
        rows: a cell a column; None is "not measured".
        chart: `{"kind": "line" or "bars", "x": column, "y": [columns]}` where a picture helps.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[float | str | None, ...], ...]
    chart: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measurement(Record):
    """A profile applied to a model: every repetition, and the metrics over them.

    A metric is read as an attribute: `chat.ttft_s.p95`, `chat.decode_tps.median`.
    """

    id: str
    key: str
    """Hash of model, server settings, profile and its settings: what makes two measurements the same question."""
    model: str
    profile: str
    settings: Mapping[str, Any]
    host_fingerprint: str
    repetitions: tuple[Repetition, ...]
    scalars: Mapping[str, float] = field(default_factory=dict)
    """Metrics measured once for all repetitions (`load_s`, `peak_rss_bytes`)."""
    units: Mapping[str, str] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    rating: str = ""
    sentence: str = ""
    """The rating in words, with the number behind it."""
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    samples: tuple[MonitorSample, ...] = ()
    """The system monitor's, in order."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Reading of the monitor → why this machine does not give it."""
    client_error: Mapping[str, Any] = field(default_factory=dict)
    """How far our client was off on a stream of known timing, read in the same session."""

    @property
    def counted(self) -> tuple[Repetition, ...]:
        """The repetitions that series are made of: all but those taken again."""
        return tuple(repetition for repetition in self.repetitions if not repetition.superseded)

    @property
    def asked(self) -> tuple[Repetition, ...]:
        """The counted repetitions that ask for an answer: without the tokens of a set text."""
        return tuple(repetition for repetition in self.counted if not repetition.is_token)

    def where(self, **labels: Label) -> tuple[Repetition, ...]:
        """The counted repetitions that bear all these labels."""
        return tuple(r for r in self.counted if all(r.labels.get(name) == value for name, value in labels.items()))

    def series(self, metric: str) -> Series:
        """The raw values of `metric`; empty where it was not measured."""
        values: tuple[float, ...]
        if metric in self.scalars:
            values = (self.scalars[metric],)
        elif metric == "itl_s":
            values = tuple(gap for r in self.counted for gap in r.timing.gaps_s)
        else:
            values = tuple(r.metrics[metric] for r in self.counted if metric in r.metrics)
        return Series(metric, self.units.get(metric, ""), values)

    @property
    def metrics(self) -> frozenset[str]:
        """The names of all that was measured; `series` of any other is empty."""
        counted = self.counted
        gaps = {"itl_s"} if any(each.timing.gaps_s for each in counted) else set[str]()
        return frozenset(gaps.union(self.scalars, *(each.metrics for each in counted)))

    def __getattr__(self, name: str) -> Series:
        if name.startswith("_") or name not in self.units:
            raise AttributeError(f"a measurement has no metric {name!r}; it has {', '.join(sorted(self.units))}")
        return self.series(name)
