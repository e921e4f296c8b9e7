"""The table of all configurations: which columns it has, and what stands in their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.reports.figures import quantity, size
from pytest_llmbench.reports.matrix_charts import SPEED_PROFILES
from pytest_llmbench.reports.matrix_view import ConfigurationRow, Figure, MatrixView


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of the table of all configurations."""

    metric: str
    profiles: tuple[str, ...]
    head: str


MEMORY_PROFILES = ("interactive", "batch", "quality", "load", "long_context", "stress")
"""By how little they ask of a server beyond the model itself."""

TABLE: tuple[TableColumn, ...] = (
    TableColumn("decode_tps", SPEED_PROFILES, "Writes, tokens/s"),
    TableColumn("ttft_s", ("interactive", "load"), "First word after"),
    TableColumn("prompt_tps", ("interactive", "long_context", "batch"), "Reads, tokens/s"),
    TableColumn("accuracy", ("quality",), "Right answers"),
    TableColumn("documents_per_hour", ("batch",), "Documents an hour"),
    TableColumn("largest_context", ("long_context",), "Longest text"),
    TableColumn("kept_share", ("stress",), "Speed kept"),
    TableColumn("peak_vram_bytes", MEMORY_PROFILES, "Graphics memory"),
)
"""Each the first of its profiles that was measured."""


def columns(shown: MatrixView) -> Sequence[TableColumn]:
    """The columns in which at least one configuration has a value."""
    return [each for each in TABLE if any(row.figure(each.metric, *each.profiles) for row in shown.rows)]


def found(row: ConfigurationRow, column: TableColumn) -> Figure | None:
    """A configuration's value in a column."""
    return row.figure(column.metric, *column.profiles)


def value(figure: Figure) -> str:
    """`44.2`, `82.1 %`: the unit only where it depends on the value."""
    if figure.unit in {"tok/s", "1/h"}:
        return quantity(figure.value, "")
    return f"{figure.value:,.0f}" if figure.unit == "tokens" else quantity(figure.value, figure.unit)


def interval(figure: Figure) -> str:
    """`43.1–45.0`: the 95 % interval; empty where there is none."""
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    if figure.unit == "share":
        return f"{figure.low * 100:.0f}–{figure.high * 100:.0f} %"
    unit = "" if figure.unit in {"tok/s", "1/h"} else figure.unit
    return f"{quantity(figure.low, unit)}–{quantity(figure.high, unit)}"


def file_words(row: ConfigurationRow) -> str:
    """`88 MiB, 4.9 bits per weight`; empty where nobody tells."""
    bits = f"{row.bits_per_weight:.1f} bits per weight" if row.bits_per_weight else ""
    return ", ".join(part for part in (size(row.size_bytes) if row.size_bytes else "", bits) if part)


def settings(row: ConfigurationRow) -> str:
    """The server's settings: `context 16384, gpu layers 99`; empty where they are the usual ones."""
    return _listed(row.settings)


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(settings.items()))
