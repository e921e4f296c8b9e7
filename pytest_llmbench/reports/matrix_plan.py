"""What `--dry-run` prints of a matrix: its cells in their order, with the memory and the time that are expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Cell, Range
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.cells import cell_width, clipped, one_line, wrapped
from pytest_llmbench.reports.model_names import fitted
from pytest_llmbench.reports.terminal_lines import Line

_STRESS = "stress"
_COLUMNS = (25, 22)
"""Of memory and of time, with their intervals."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A cell before it is measured."""

    cell: Cell
    expected: Mapping[str, Range]
    refusal: str = ""
    """Why its server would not be started; empty where it fits."""
    is_stored: bool = False
    """Whether the run that goes on has it."""
    is_learned: bool = False
    """Whether what is expected rests on what was measured here before."""

    @property
    def title(self) -> str:
        """Its place, its configuration and its profile."""
        return one_line(f"{self.cell.place + 1}. {self.cell.configuration}  {self.cell.profile}")


def lines(cells: Sequence[Foreseen], *, width: int = 80) -> list[Line]:
    """The plan as styled lines; see `terminal.MARKUP`.

    Args:
        cells: in their order.
        width: columns of the terminal.
    """
    configurations = len(dict.fromkeys(each.cell.configuration for each in cells))
    head = f"nothing was started; {len(cells)} cells of {configurations} configurations, in this order"
    titles = max(cell_width(each.title) for each in cells)
    return [
        [("matrix  ", "dim"), (head, "bold")],
        *(line for each in cells for line in _rows(each, titles, width)),
        *([(part, style)] for text, style in _remarks(cells) for part in wrapped(text, width)),
    ]


def _rows(each: Foreseen, titles: int, width: int) -> Iterator[Line]:
    """One line; two where the terminal is too narrow."""
    numbers = _numbers(each)
    if titles + cell_width(numbers) <= width:
        yield [(each.title + " " * (titles - cell_width(each.title)), "bold"), (numbers, "")]
    else:
        yield [(fitted(each.title, width), "bold")]
        yield [(clipped(numbers, width), "")]
    for part in wrapped(f"skipped: {each.refusal}", width - 2) if each.refusal else ():
        yield [(f"  {part}", "warn")]


def _numbers(each: Foreseen) -> str:
    if each.is_stored:
        return "  in the store: not measured again if nothing has changed"
    told = (_told(each.expected.get("memory_bytes"), figures.size), _told(each.expected.get("duration_s"), _duration))
    return "".join(
        " " * max(2, columns - cell_width(text)) + text for text, columns in zip(told, _COLUMNS, strict=True)
    )


def _told(found: Range | None, text: Callable[[float], str]) -> str:
    """`266 MiB (223–316 MiB)`."""
    if found is None:
        return figures.NOT_MEASURED
    (low, unit), high = text(found.low).split(" ", 1), text(found.high)
    return f"{text(found.mid)} ({low if high.endswith(f' {unit}') else f'{low} {unit}'}–{high})"


def _duration(seconds: float) -> str:
    """In whole seconds, or minutes: it is no measurement."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _remarks(cells: Sequence[Foreseen]) -> Iterator[tuple[str, str]]:
    """The time that all of it takes; of stress, which one configuration alone is put under, the longest."""
    coming = [each for each in cells if not each.is_stored and not each.refusal]
    stress = [each for each in coming if each.cell.profile == _STRESS]
    counted = [each for each in coming if each.cell.profile != _STRESS]
    times = [time for each in counted if (time := each.expected.get("duration_s"))]
    times += sorted((time for each in stress if (time := each.expected.get("duration_s"))), key=_mid)[-1:]
    total = Range(*(sum(getattr(time, end) for time in times) for end in ("low", "mid", "high")))
    most = sorted((need for each in coming if (need := each.expected.get("memory_bytes"))), key=_mid)[-1:]
    memory = f", at most {_told(most[0], figures.size)} of memory" if most else ""
    yield f"all together {_told(total, _duration)}{memory}", "bold"
    if stress:
        yield "stress is counted once: it runs for one configuration, the next-to-largest that passes", "dim"
    if unknown := len(counted) + bool(stress) - len(times):
        yield f"of {unknown} cells nobody can tell the time: their models' files are not here, or not ours", "warn"
    if not any(each.is_learned for each in cells):
        yield "nothing was measured here before: the times are very rough, and get better with the first results", "dim"


def _mid(found: Range) -> float:
    return found.mid
