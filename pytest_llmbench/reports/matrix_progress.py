"""How far a matrix is, as one line: what runs now and how it does, a bar, the time that is left."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.records import Cell, CellState, Measurement
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.model_names import fitted, marked

_SEPARATOR = " · "
_BAR = 10
_REASON = 160
_TITLE = 24
"""Columns of a configuration and its profile, below which the line is cut at its end."""
_ONCE = "stress"
"""The profile that one configuration alone is measured with."""


@dataclass(frozen=True, slots=True)
class MatrixStatus:
    """One look at a run's matrix."""

    cells: Sequence[Cell]
    """In the order of the plan."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the last request of the cell that runs."""
    readings: Mapping[str, float] = field(default_factory=dict)
    """Of the system monitor, the last that are stored."""
    running_s: float = 0.0
    """Since the cell that runs began."""

    @property
    def running(self) -> Cell | None:
        """The cell that is measured now."""
        return next((cell for cell in self.cells if cell.state == CellState.RUNNING), None)

    @property
    def done(self) -> int:
        """Cells that are decided."""
        return sum(1 for cell in self.cells if CellState(cell.state).is_decided)


def line(status: MatrixStatus, width: int | None = None) -> str:
    """The status in one line, safe for a terminal; what matters least is left out where it is too long."""
    title = terminal_safe(_title(status.running), keep="") if status.running else ""
    parts = _parts(status, title)
    if width is not None and len(_SEPARATOR.join(parts)) > width:
        parts = _parts(status, fitted(marked(title), max(_TITLE, width - len(parts[0]) - len(_SEPARATOR))))
    while width is not None and len(parts) > 1 and len(_SEPARATOR.join(parts)) > width:
        parts.pop()
    return _SEPARATOR.join(parts)[:width]


def step(cell: Cell, measurement: Measurement | None, status: MatrixStatus, number: int) -> str:
    """A decided cell in one line: `[3/12] smollm2-135m:Q4_1 interactive: good · 45.2 tok/s · 132 MiB · in 12 s`.

    Args:
        cell: it.
        measurement: what was measured of it, where it was.
        status: at the look that found it decided.
        number: how many are decided with it.
    """
    place = f"[{number}/{len(status.cells)}] {terminal_safe(_title(cell), keep='')}"
    told = _told_measured(cell, measurement) if measurement else [_told_left_out(cell)]
    return f"{place}: {_SEPARATOR.join([*told, *filter(None, [left(status)])])}"


def left(status: MatrixStatus) -> str:
    """The time that is left, from what measured cells of the same profiles took, by the sizes of their files."""
    seconds, is_all = _left_s(status)
    if not seconds:
        return ""
    return f"{'' if is_all else 'more than '}{_clock(seconds)} left"


def _parts(status: MatrixStatus, title: str) -> list[str]:
    running = status.running
    share = status.done / max(1, len(status.cells))
    filled = round(share * _BAR)
    told = [
        f"[{status.done}/{len(status.cells)}]",
        title,
        left(status),
        f"{figures.speed(status.metrics['decode_tps'])} tok/s" if "decode_tps" in status.metrics else "",
        figures.size(status.readings["rss_bytes"]) if "rss_bytes" in status.readings else "",
        f"{status.readings['temperature_c']:.0f} °C" if "temperature_c" in status.readings else "",
        "█" * filled + "░" * (_BAR - filled),
        f"for {_clock(status.running_s)}" if running else "",
    ]
    return [part for part in told if part]


def _title(cell: Cell) -> str:
    return f"{cell.configuration} {cell.profile}"


def _told_measured(cell: Cell, measurement: Measurement) -> Iterator[str]:
    yield measurement.rating or "measured"
    if speed := measurement.series("decode_tps"):
        yield f"{figures.speed(speed.p50)} tok/s"
    if (memory := measurement.scalars.get("peak_rss_bytes")) is not None:
        yield figures.size(memory)
    if cell.duration_s is not None:
        yield f"in {figures.duration(cell.duration_s)}"


def _told_left_out(cell: Cell) -> str:
    what = {CellState.NOT_SELECTED: "not selected", CellState.FAILED: "failed"}.get(CellState(cell.state), "skipped")
    reason = terminal_safe(cell.reason.partition("\n")[0], keep="")
    return f"{what} ({cell.category.replace('_', ' ')}): {reason[:_REASON]}"


def _left_s(status: MatrixStatus) -> tuple[float, bool]:
    """Seconds, and whether that is all: of profiles that nothing has been measured with, nobody knows."""
    total, is_all = 0.0, True
    coming = [cell for cell in status.cells if not CellState(cell.state).is_decided]
    once = [cell for cell in coming if cell.profile == _ONCE]
    for cell in [*(cell for cell in coming if cell.profile != _ONCE), *once[:1]]:
        took_s = _takes_s(cell, status.cells)
        is_all = is_all and took_s is not None
        spent_s = status.running_s if cell.state == CellState.RUNNING else 0.0
        total += max(0.0, (took_s or 0.0) - spent_s)
    return total, is_all


def _takes_s(cell: Cell, cells: Sequence[Cell]) -> float | None:
    """Seconds, as foretold of a cell that runs; of others by what the same profile took, the larger file the longer."""
    if (foretold := cell.predicted("duration_s")) is not None:
        return foretold.mid
    like = [each for each in cells if each.profile == cell.profile and each.state == CellState.MEASURED]
    took = [(each.duration_s, each.size_bytes) for each in like if each.duration_s is not None]
    if not took:
        return None
    usual_s = statistics.fmean(seconds for seconds, _ in took)
    sizes = [size for _, size in took if size is not None]
    if cell.size_bytes is None or not sizes:
        return usual_s
    return usual_s * cell.size_bytes / statistics.fmean(sizes)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
