"""The matrix on paper: what to run, what was compared, what was left out and why, and how well that was foretold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmbench.records import Run
from pytest_llmbench.reports import figures
from pytest_llmbench.reports import matrix_table as in_table
from pytest_llmbench.reports import matrix_words as words
from pytest_llmbench.reports.matrix_charts import CHARTS, matrix_charts
from pytest_llmbench.reports.matrix_view import CellView, Figure, MatrixView, Prediction
from pytest_llmbench.reports.pdf_blocks import (
    LEVELS,
    Block,
    brief,
    card,
    cards,
    cell,
    charts,
    heading,
    listed,
    table,
    text,
)
from pytest_llmbench.reports.view import RunView
from pytest_llmbench.results.recommendations import Advice, Caution, FamilyRow, Pick

_MOST_WARNINGS = 40
_IN_SUMMARY = 4
"""Warnings that stand on the first page."""


def recommendations(shown: RunView) -> Iterator[Block]:
    """The first page: what was measured where, and what to run for which use."""
    advice = shown.advice
    if shown.matrix is not None:
        yield text(f"{words.counts(shown.matrix)}.")
    if advice.is_empty:
        return
    yield heading("What to run")
    yield cards(map(_card, words.picks(advice)))
    yield from _no_picks(advice)
    if advice.warnings:
        yield heading("Know before you run them")
        yield listed(_told(caution) for caution in advice.warnings[:_IN_SUMMARY])
        if len(advice.warnings) > _IN_SUMMARY:
            yield text(f"{len(advice.warnings) - _IN_SUMMARY:,} more stand under Warnings.", quiet=True)


def matrix_pages(run: Run, shown: RunView) -> Iterator[Block]:
    """The comparison of configurations; nothing where there is none."""
    matrix, advice = shown.matrix, shown.advice
    if matrix is not None:
        yield heading("The matrix", 1, new_page=True)
        yield text("A row for each model file with its server settings, a column for each kind of work.", quiet=True)
        yield _grid(matrix)
        yield from _figures(matrix)
        yield from _charts(run, matrix)
    yield from _reasons(advice)
    yield from _comparisons(advice)
    if advice.warnings:
        yield heading("Warnings", 1)
        yield listed(map(_told, advice.warnings[:_MOST_WARNINGS]))
    if matrix is not None:
        yield from _skips(matrix)
        yield from _predictions(matrix)


def _card(pick: Pick) -> Block:
    return card(
        pick.title,
        pick.configuration,
        words.sentence(pick.configuration, pick.sentence),
        thin=pick.thin,
        ties=f"As good, as far as could be told: {', '.join(pick.ties)}" if pick.ties else "",
    )


def _no_picks(advice: Advice) -> Iterator[Block]:
    for pick in words.no_picks(advice):
        yield text(f"{pick.title[:1].upper()}{pick.title[1:]}: {pick.sentence}.", quiet=True)


def _told(caution: Caution) -> str:
    return f"{caution.configuration}: {caution.sentence}" if caution.configuration else caution.sentence


def _grid(matrix: MatrixView) -> Block:
    heads = ("configuration", *map(words.use, matrix.profiles))
    rows = ((cell(row.configuration, ", ".join(row.recommended_for)), *map(_heat, row.cells)) for row in matrix.rows)
    told = "; ".join(f"{grade}: {means}" for grade, means in words.RATINGS.items())
    return table(heads, rows, most=60, is_grid=True, note=f"The worst of what was judged in that work. {told}.")


def _heat(found: CellView) -> Block:
    return cell(words.heat_word(found), tone=LEVELS.get(found.rating, "plain" if found.is_measured else "quiet"))


def _figures(matrix: MatrixView) -> Iterator[Block]:
    columns = in_table.columns(matrix)
    heads = ("configuration", "file", "peak memory", *(column.head for column in columns))
    rows = (
        (
            cell(row.short, in_table.settings(row)),
            figures.size(row.size_bytes),
            figures.size(row.memory_bytes),
            *(_figure(in_table.found(row, column)) for column in columns),
        )
        for row in matrix.rows
    )
    note = "Below a value: its 95 % interval."
    if any(row.requantized_from for row in matrix.rows):
        note += " * requantized: made from a file that was quantized already."
    yield table(heads, rows, numeric=range(1, len(heads)), most=60, is_grid=True, note=note)


def _figure(found: Figure | None) -> Block | str:
    return cell(in_table.value(found), in_table.interval(found)) if found else figures.NOT_MEASURED


def _charts(run: Run, matrix: MatrixView) -> Iterator[Block]:
    specs = matrix_charts(run, matrix)
    for name, spec in specs.items():
        yield heading(CHARTS[name].title)
        yield charts([("", spec)], note=CHARTS[name].how_to_read)


def _reasons(advice: Advice) -> Iterator[Block]:
    """Each recommendation with its evidence."""
    given = words.picks(advice)
    if not given or advice.is_empty:
        return
    yield heading("Why these", 1)
    for pick in given:
        yield heading(f"{pick.title[:1].upper()}{pick.title[1:]}: {pick.configuration}")
        yield text(words.sentence(pick.configuration, pick.sentence))
        yield listed([*pick.evidence, *pick.why_not, *filter(None, [pick.thin])])
    if advice.left_out:
        yield heading("Left out")
        left_out = ((each.configuration, brief(each.reason)) for each in advice.left_out)
        yield table(("configuration", "why"), left_out)
    yield listed(advice.notes)


def _comparisons(advice: Advice) -> Iterator[Block]:
    if advice.comparisons:
        yield heading("What a smaller quantization costs")
        yield listed(words.compared(advice))
    for size_class in advice.families:
        yield heading(f"Families: {size_class.title}")
        heads = ("family", "its best", "right answers", "decode tok/s", "peak memory")
        yield table(heads, map(_family, size_class.rows), numeric=(2, 3, 4))
        yield listed(size_class.sentences)
    if advice.costs:
        yield heading("What it costs to run")
        yield listed(each.sentence for each in advice.costs)


def _family(row: FamilyRow) -> Sequence[object]:
    known = row.accuracy_low is not None and row.accuracy_high is not None
    bounds = figures.percent_range(row.accuracy_low, row.accuracy_high) if known else ""
    counted = f"n = {row.accuracy_n:,}" if row.accuracy_n else ""
    return (
        row.family,
        row.configuration,
        cell(figures.percent(row.accuracy), ", ".join(filter(None, (bounds, counted)))),
        figures.speed(row.decode_tps),
        figures.size(row.memory_bytes),
    )


def _skips(matrix: MatrixView) -> Iterator[Block]:
    if not matrix.skips:
        return
    yield heading("Not measured, and why", 1)
    rows = (
        (skip.configuration, ", ".join(map(words.use, skip.profiles)), skip.category_words, brief(skip.reason))
        for skip in words.left_out(matrix)
    )
    yield table(("configuration", "for", "what", "why"), rows, most=60)
    yield listed(words.not_chosen(matrix))


_HELD = {True: ("held", "good"), False: ("missed", "warn"), None: (figures.NOT_MEASURED, "")}


def _predictions(matrix: MatrixView) -> Iterator[Block]:
    known = [each for each in matrix.predictions if each.measured is not None]
    if known:
        yield heading("Predicted and measured")
        yield text(words.held_words(matrix))
        yield listed(matrix.tallies)
        heads = ("configuration", "for", "what", "predicted", "95 % interval", "measured", "")
        yield table(heads, map(_prediction, known), numeric=(3, 4, 5), most=40)


def _prediction(found: Prediction) -> Sequence[object]:
    told, tone = _HELD[found.held]
    low, mid, high = (figures.quantity(value, found.unit) for value in (found.low, found.mid, found.high))
    measured = figures.quantity(found.measured, found.unit)
    return (
        found.configuration,
        words.use(found.profile),
        found.title,
        mid,
        f"{low}–{high}",
        measured,
        cell(told, tone=tone),
    )
