"""What configurations are compared by: how a measurement's values are paired with another's, and what it is called."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.profiles.batch_levels import Level, levels
from pytest_llmbench.profiles.long_context_report import prompt_speed
from pytest_llmbench.profiles.quality_answers import answers
from pytest_llmbench.profiles.quality_paired import NOT_COMPARED_BY
from pytest_llmbench.profiles.stress_findings import last_stretch
from pytest_llmbench.profiles.stress_windows import Window, windows
from pytest_llmbench.records import Measurement

Values = Mapping[Hashable, float]
"""What is paired → its value."""
SAME_MEMORY = 0.05
"""Peaks of memory that differ by less are taken for equal: one and the same model differs by some from start to start,
and nobody would choose by it."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that configurations are compared by."""

    metric: str
    profile: str
    kind: Literal["rate", "ratio", "exact"]
    """`rate`: right or wrong, item by item. `ratio`: of positive quantities. `exact`: read once, the value decides."""
    words: tuple[str, str]
    """What more and less of it are called."""
    said: str
    """What a reader calls it who never saw a benchmark."""
    counted: str
    """What its values are counted in."""
    values: Callable[[Measurement], Values] = lambda _measured: {}
    level: Callable[[Measurement], float | None] = lambda _measured: None
    """The one number that it is ranked by."""
    floors: tuple[str, ...] = ()
    """The metrics whose noise on this machine is its own, too."""
    same: float = 0.0
    """Exact: the share below which two values are taken for equal."""

    @property
    def higher_is_better(self) -> bool:
        return METRICS[self.metric].direction is Direction.HIGHER

    @property
    def is_speed(self) -> bool:
        """Whether others on the machine, and its mood, have a part in it."""
        return bool(self.floors)


def paired(before: Values, after: Values) -> list[tuple[float, float]]:
    """The values of what both have, in the order of the first."""
    return [(value, after[key]) for key, value in before.items() if key in after]


def load_of(measurement: Measurement) -> dict[str, Any]:
    """What was sent: the settings without who answered and what it was compared with."""
    beside = NOT_COMPARED_BY | {"logprob_text"}
    return {name: value for name, value in measurement.settings.items() if name not in beside}


def _by_index(metric: str) -> Callable[[Measurement], Values]:
    def read(measurement: Measurement) -> Values:
        return {r.index: r.metrics[metric] for r in measurement.asked if r.metrics.get(metric, 0.0) > 0}

    return read


def _median(metric: str) -> Callable[[Measurement], float | None]:
    def read(measurement: Measurement) -> float | None:
        series = measurement.series(metric)
        return series.median if series else None

    return read


def _scalar(metric: str) -> Callable[[Measurement], float | None]:
    return lambda measurement: measurement.scalars.get(metric)


def _answered(measurement: Measurement) -> Values:
    given = answers(measurement).items()
    return {item: float(each.correct) for item, each in given if each.correct is not None}


def _recalled(measurement: Measurement) -> Values:
    return {r.index: r.metrics["recall"] for r in measurement.asked if "recall" in r.metrics}


def _share(read: Callable[[Measurement], Values]) -> Callable[[Measurement], float | None]:
    def level(measurement: Measurement) -> float | None:
        found = read(measurement)
        return statistics.fmean(found.values()) if found else None

    return level


def _read_speeds(measurement: Measurement) -> Values:
    speeds = {r.index: prompt_speed(r) for r in measurement.asked}
    return {index: speed for index, speed in speeds.items() if speed}


def _largest_read(measurement: Measurement) -> float | None:
    """Median prompt speed at the largest context."""
    largest = measurement.scalars.get("largest_context")
    at = [prompt_speed(r) for r in measurement.asked if r.labels.get("context_tokens") == largest]
    speeds = [speed for speed in at if speed]
    return statistics.median(speeds) if speeds else None


def fastest_pass(measurement: Measurement) -> Level | None:
    """The pass over the documents that the measurement is told by: that with surely the most an hour."""
    told = measurement.scalars.get("documents_per_hour")
    if not told or any("slots" not in r.labels or "place" not in r.labels for r in measurement.counted):
        return None
    return min(levels(measurement), key=lambda level: abs(level.per_hour - told), default=None)


def _documents(measurement: Measurement) -> Values:
    """Document → how many like it an hour, with as many under way as there were."""
    found = fastest_pass(measurement)
    if found is None:
        return {}
    at_once = sum(found.times_s) / found.busy_s
    return {r.labels["place"]: 3600 * at_once / r.metrics["e2e_s"] for r in found.done if r.metrics["e2e_s"] > 0}


def _sustained(measurement: Measurement) -> Values:
    return {place: window.tps for place, window in enumerate(last_stretch(windows_of(measurement))) if window.tps > 0}


def windows_of(measurement: Measurement) -> list[Window]:
    """The windows of a stress load; none where its settings do not tell their length."""
    done, window_s = (
        [each for each in measurement.counted if each.at_s is not None],
        measurement.settings.get("window_s"),
    )
    return windows(done, float(window_s)) if window_s else []


_DEARER = ("slower", "faster")
_MORE = ("faster", "slower")
_BOTH = ("decode_tps", "prompt_tps")

ACCURACY = Criterion(
    "accuracy", "quality", "rate", ("better", "worse"), "right answers", "questions", _answered, _share(_answered)
)
RECALL = Criterion(
    "recall", "long_context", "rate", ("better", "worse"), "facts found again", "facts", _recalled, _share(_recalled)
)
FIRST_TOKEN = Criterion(
    "ttft_s",
    "interactive",
    "ratio",
    _DEARER,
    "time to the first word",
    "requests",
    _by_index("ttft_s"),
    _median("ttft_s"),
    ("ttft_s", "prompt_tps"),
)
DECODE = Criterion(
    "decode_tps",
    "interactive",
    "ratio",
    _MORE,
    "writing speed",
    "requests",
    _by_index("decode_tps"),
    _median("decode_tps"),
    ("decode_tps",),
)
DOCUMENTS = Criterion(
    "documents_per_hour",
    "batch",
    "ratio",
    _MORE,
    "documents an hour",
    "documents",
    _documents,
    _scalar("documents_per_hour"),
    _BOTH,
)
READING = Criterion(
    "prompt_tps",
    "long_context",
    "ratio",
    _MORE,
    "reading speed",
    "requests",
    _read_speeds,
    _largest_read,
    ("prompt_tps",),
)
SUSTAINED = Criterion(
    "sustained_tps",
    "stress",
    "ratio",
    _MORE,
    "speed kept up",
    "stretches of time",
    _sustained,
    _scalar("sustained_tps"),
    ("decode_tps",),
)
LARGEST = Criterion(
    "largest_context",
    "long_context",
    "exact",
    ("more", "less"),
    "longest text",
    "contexts",
    level=_scalar("largest_context"),
)

TESTED: tuple[Criterion, ...] = (ACCURACY, RECALL, FIRST_TOKEN, DECODE, DOCUMENTS, READING, SUSTAINED)
"""Those that chance has a say in: every pair of configurations is tested by each, and corrected for all of it."""
