"""Figures as text, in Prometheus' own format or as OpenMetrics."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pytest_llmbench.observe.families import FAMILIES, Family, FamilyKind

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = tuple[str, ...]
"""Values, in the order of their family's labels."""
Number = int | float | Decimal


@dataclass(slots=True)
class Distribution:
    """How values spread over the buckets of a histogram."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    """By bucket, each by itself; the last is what lies beyond all bounds."""
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is known at one moment."""

    numbers: Mapping[Family, Mapping[Labels, Number]]
    distributions: Mapping[Family, Mapping[Labels, Distribution]]


def exposed(figures: Figures, *, is_open: bool = False) -> str:
    """The figures as text.

    Args:
        figures: all of them; a family without any is left out.
        is_open: as OpenMetrics, in place of Prometheus' own format.
    """
    lines: list[str] = []
    for family in FAMILIES:
        written = [f"{name}{_labels(labels)} {_number(number)}" for name, labels, number in _rows(family, figures)]
        if written:
            lines += [*_head(family, is_open=is_open), *written]
    return "\n".join([*lines, *(["# EOF"] if is_open else []), ""])


def listed(figures: Figures) -> Iterator[tuple[str, dict[str, str], Number]]:
    """Every figure with its name and labels, histograms by bucket as they are written."""
    for family in FAMILIES:
        yield from _rows(family, figures)


def _rows(family: Family, figures: Figures) -> Iterator[tuple[str, dict[str, str], Number]]:
    if family.kind is FamilyKind.HISTOGRAM:
        for values, spread in sorted(figures.distributions.get(family, {}).items()):
            yield from _histogram(family, dict(zip(family.labels, values, strict=True)), spread)
        return
    for values, number in sorted(figures.numbers.get(family, {}).items()):
        yield family.full_name, dict(zip(family.labels, values, strict=True)), number


def _histogram(
    family: Family, labels: dict[str, str], spread: Distribution
) -> Iterator[tuple[str, dict[str, str], Number]]:
    total = 0
    for bound, count in zip((*spread.bounds, math.inf), spread.counts, strict=True):
        total += count
        yield f"{family.name}_bucket", {**labels, "le": _number(float(bound))}, total
    yield f"{family.name}_sum", labels, spread.sum
    yield f"{family.name}_count", labels, total


def _head(family: Family, *, is_open: bool) -> list[str]:
    told = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    if not is_open:
        return [f"# HELP {family.full_name} {told}", f"# TYPE {family.full_name} {family.kind}"]
    is_info = family.name.endswith("_info")  # there, the ending belongs to the kind
    name = family.name.removesuffix("_info") if is_info else family.name
    unit = [f"# UNIT {name} {family.unit}"] if family.unit else []
    return [f"# TYPE {name} {'info' if is_info else family.kind}", *unit, f"# HELP {name} {told}"]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(number: Number) -> str:
    if isinstance(number, float):
        return "+Inf" if number == math.inf else "-Inf" if number == -math.inf else repr(number)
    return f"{number:f}" if isinstance(number, Decimal) else str(number)
