"""A profile's table on a terminal: the most telling columns that have room, and not too many rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmbench.records import Table
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.cells import cell_width, clipped, one_line, wrapped

MOST_ROWS = 10
_GAP = 2
_WIDEST = 24
"""Cells of one column; a longer text loses its middle."""
_HEAD = 12
"""Cells a head may take though its column's values are narrower."""


def is_over_time(table: Table) -> bool:
    """Whether it tells how something went on, which rows of numbers do not: its picture is in the report."""
    x = table.chart.get("x")
    return x in table.columns and table.units[table.columns.index(x)] == "s"


def table_lines(table: Table, width: int) -> Iterator[str]:
    """The table's head and rows, none wider than `width`.

    Args:
        table: its rows as long as its head.
        width: cells; columns that find no room are left out, and rows beyond `MOST_ROWS` counted.
    """
    rows = table.rows if len(table.rows) <= MOST_ROWS else table.rows[: MOST_ROWS - 1]
    columns = [_column(table, place, [row[place] for row in rows]) for place in range(len(table.columns))]
    shown = _that_fit(table, [w for _, _, w in columns], width)
    heads = [list(wrapped(columns[place][0], columns[place][2])) or [""] for place in shown]
    widths = [columns[place][2] for place in shown]
    for level in range(max(map(len, heads), default=0), 0, -1):
        yield _line([head[-level] if level <= len(head) else "" for head in heads], widths)
    for number in range(len(rows)):
        yield _line([columns[place][1][number] for place in shown], widths)
    if left := len(table.rows) - len(rows):
        yield f"… {left} more rows are in the report"


def _column(table: Table, place: int, values: Sequence[float | str | None]) -> tuple[str, list[str], int]:
    """(head, cells, width) of one column."""
    unit = table.units[place]
    head = one_line(figures.head(table.columns[place], unit))
    cells = [clipped(one_line(figures.cell(value, unit)), _WIDEST) for value in values]
    longest_word = max(map(cell_width, head.split()), default=0)
    head_width = min(cell_width(head), max(longest_word, _HEAD), _WIDEST)
    return head, cells, max(head_width, *map(cell_width, cells), 1)


def _that_fit(table: Table, widths: Sequence[int], width: int) -> list[int]:
    """The places of the first column, of those that are drawn, and of as many others as there is room for."""
    drawn = [column for column in _listed(table.chart.get("y")) if column in table.columns]
    order = dict.fromkeys([0, *(table.columns.index(column) for column in drawn), *range(len(widths))])
    chosen: list[int] = []
    room = width
    for place in order:
        if place < len(widths) and widths[place] + (_GAP if chosen else 0) <= room:
            room -= widths[place] + (_GAP if chosen else 0)
            chosen.append(place)
    return sorted(chosen)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first column begins at the left, the others end at the right."""
    padded = [" " * (width - cell_width(cell)) for cell, width in zip(cells, widths, strict=True)]
    parts = [
        cell + pad if not place else pad + cell for place, (cell, pad) in enumerate(zip(cells, padded, strict=True))
    ]
    return (" " * _GAP).join(parts).rstrip()
