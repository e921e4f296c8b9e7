"""The matrix in Markdown: what to run, the table of configurations, warnings; the rest folded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_llmbench.reports import figures
from pytest_llmbench.reports import matrix_table as in_table
from pytest_llmbench.reports import matrix_words as words
from pytest_llmbench.reports.markdown_text import text
from pytest_llmbench.reports.matrix_view import CellView, ConfigurationRow, MatrixView
from pytest_llmbench.results.cautions import told_once
from pytest_llmbench.results.recommendations import Advice, Pick

Safe = Callable[[object], str]
_MOST_ROWS = 40
_MOST_WARNINGS = 5
_MOST_LISTED = 100
_SIGNS = {"excellent": "✅", "good": "✅", "acceptable": "🆗", "poor": "⚠️", "failed": "❌"}


def matrix_lines(matrix: MatrixView | None, advice: Advice, safe: Safe = text) -> Iterator[str]:
    """The lines, each table after an empty one; nothing where nothing was compared.

    Args:
        matrix: of the run's view.
        advice: of the same.
        safe: makes a text of Markdown of the words of others.
    """
    if matrix is None:
        return
    if not advice.is_empty:
        yield from ("", f"## {safe(words.headline(matrix, advice))}", "")
        if but := words.but(matrix, advice):
            yield from (safe(but), "")
        yield from _advice(advice, safe)
    yield from _matrix(matrix, safe)
    if advice.comparisons:
        yield from _folded("What a smaller quantization costs", [f"- {safe(each)}" for each in words.compared(advice)])
    yield from _folded("Not measured, and why", list(_skips(matrix, safe)))


def _advice(advice: Advice, safe: Safe) -> Iterator[str]:
    yield from (_pick(pick, safe) for pick in words.picks(advice))
    if missing := words.no_picks(advice):
        yield f"- nothing to recommend: {safe(', '.join(pick.title for pick in missing))}"
    warnings = (f"{', '.join(names)}: {why}".removeprefix(": ") for names, why in told_once(advice.warnings))
    told = [f"- ⚠️ {safe(each)}" for each in warnings]
    if told:
        yield from ("", *told[:_MOST_WARNINGS])
        yield from _folded(f"{len(told) - _MOST_WARNINGS} more warnings", told[_MOST_WARNINGS:])


def _pick(pick: Pick, safe: Safe) -> str:
    thin = f" *{safe(pick.thin)}*" if pick.thin else ""
    told = words.sentence(pick.configuration, pick.sentence)
    return f"- {safe(pick.title)}: **{safe(pick.configuration)}**. {safe(told)}{thin}"


def _matrix(matrix: MatrixView, safe: Safe) -> Iterator[str]:
    columns = in_table.columns(matrix)
    values = ("file", "peak memory", *(column.head for column in columns))
    heads = ("configuration", *map(words.use, matrix.profiles), *values)
    yield from ("", f"{safe(words.counts(matrix))}.", "")
    yield f"| {' | '.join(map(safe, heads))} |"
    yield f"|---|{'---|' * len(matrix.profiles)}{'---:|' * len(values)}"
    yield from (_line(row, columns, safe) for row in matrix.rows[:_MOST_ROWS])
    if len(matrix.rows) > _MOST_ROWS:
        yield f"| … {len(matrix.rows) - _MOST_ROWS:,} more {'| ' * len(heads)}".rstrip()


def _line(row: ConfigurationRow, columns: Sequence[in_table.TableColumn], safe: Safe) -> str:
    values = [figures.size(row.size_bytes), figures.size(row.memory_bytes)]
    for column in columns:
        found = in_table.found(row, column)
        values.append(in_table.value(found) if found else figures.NOT_MEASURED)
    states = (_state(cell, safe) for cell in row.cells)
    return f"| {' | '.join([safe(row.configuration), *states, *map(safe, values)])} |"


def _state(cell: CellView, safe: Safe) -> str:
    return f"{_SIGNS.get(cell.rating, '')} {safe(words.heat_word(cell))}".strip()


def _skips(matrix: MatrixView, safe: Safe) -> Iterator[str]:
    left_out = words.left_out(matrix)
    for each in left_out[:_MOST_LISTED]:
        uses = ", ".join(map(words.use, each.profiles))
        yield f"- {safe(each.configuration)}, {safe(uses)}: {safe(words.first_line(each.reason))}"
    yield from (f"- {safe(each)}" for each in words.not_chosen(matrix))
    if len(left_out) > _MOST_LISTED:
        yield f"- … {len(left_out) - _MOST_LISTED:,} more"


def _folded(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"<details><summary>{title}</summary>", "", *lines, "", "</details>")
