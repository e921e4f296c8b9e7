"""The pages of each model: how every profile went, by what it was graded, its tables and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Table
from pytest_llmbench.reports import figures, matrix_table, matrix_words
from pytest_llmbench.reports.chart_style import Spec
from pytest_llmbench.reports.facts import Fact
from pytest_llmbench.reports.findings import GradeRow
from pytest_llmbench.reports.matrix_view import CellView, ConfigurationRow
from pytest_llmbench.reports.pdf_blocks import LEVELS, Block, brief, cell, charts, facts, heading, listed, table, text
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.reports.view import RunView

_FEW_ROWS = 16
_DRAWN = frozenset(map(str, range(60)))
"""Places of the measurements whose charts are drawn, some five each: more would take minutes."""
_GRADE_HEADS = ("what was judged", "value", "grade", "acceptable", "failed beyond", "in words")


@dataclass(frozen=True, slots=True)
class _Subject:
    """A configuration, or a model outside of a matrix."""

    name: str
    about: tuple[Fact, ...]
    warnings: tuple[str, ...]
    places: tuple[int, ...]
    """Of its measurements among `RunView.models`."""
    cells: tuple[CellView, ...] = ()


def model_pages(shown: RunView, specs: Mapping[str, Spec]) -> Iterator[Block]:
    """A page or more for each.

    Args:
        shown: the run's view.
        specs: the charts of measurements, as `charts.charts` names them.
    """
    drawn = {name: spec for name, spec in specs.items() if name.partition("/")[0] in _DRAWN}
    for subject in _subjects(shown):
        yield heading(subject.name, 1, new_page=True)
        yield facts(subject.about)
        if subject.warnings:
            yield listed(subject.warnings)
        missing = [each for each in subject.cells if not each.is_measured]
        if missing:
            rows = [
                (matrix_words.use(each.profile), each.state_words, brief(each.reason or each.sentence))
                for each in missing
            ]
            yield table(("profile", "state", "why it was not measured"), rows)
        for place in subject.places:
            yield from _profile(place, shown, drawn)


def _subjects(shown: RunView) -> Iterator[_Subject]:
    if shown.matrix is not None:
        for row in shown.matrix.rows:
            places = tuple(each.place for each in row.cells if each.place is not None)
            yield _Subject(row.configuration, tuple(_about(row)), row.warnings, places, row.cells)
        return
    by_label: dict[str, list[int]] = {}
    for place, model in enumerate(shown.models):
        by_label.setdefault(model.label, []).append(place)
    for label, found in by_label.items():
        first = shown.models[found[0]]
        about = (Fact("engine", f"{first.engine} {first.build}".strip() or figures.NOT_MEASURED),)
        yield _Subject(label, about, (), tuple(found))


def _about(row: ConfigurationRow) -> Iterator[Fact]:
    settings = matrix_table.settings(row)
    told = {
        "recommended for": ", ".join(row.recommended_for),
        "as good for": ", ".join(row.ties_for),
        "file": figures.size(row.size_bytes) if row.size_bytes else "",
        "bits per weight": f"{row.bits_per_weight:.2f}" if row.bits_per_weight else "",
        "parameters": f"{row.parameters / 1e6:,.0f} million" if row.parameters else "",
        "architecture": row.architecture,
        "requantized from": row.requantized_from,
        "peak memory": figures.size(row.memory_bytes) if row.memory_bytes else "",
        "engine": row.engine,
        "server settings": f"{row.server}: {settings}" if settings else "",
    }
    return (Fact(name, value) for name, value in told.items() if value)


def _profile(place: int, shown: RunView, specs: Mapping[str, Spec]) -> Iterator[Block]:
    row = shown.models[place]
    yield heading(_titled(row.profile), badge=row.rating, tone=LEVELS.get(row.rating, ""))
    if row.remark:
        yield text(row.remark)
    if row.grades:
        yield table(_GRADE_HEADS, map(_grade, row.grades), numeric=(1, 3, 4))
    for number, found in enumerate(row.tables):
        yield from _table(found, _of(specs, f"{place}/table/{number}/"))
    series = shown.charts[place]
    titles = ((f"{place}/time/{n}", picture.title) for n, picture in enumerate(series.pictures))
    if drawn := [(title, specs[name]) for name, title in titles if specs.get(name)]:
        yield heading("Over time", 3)
        yield charts(drawn, half=True)
    yield from _metrics(row)
    if series.pictures and str(place) not in _DRAWN:
        yield text("Its charts are in the HTML report.", quiet=True)
    told = [*row.notes, *_repeated(row)]
    if told:
        yield listed(told)


def _metrics(row: ModelRow) -> Iterator[Block]:
    """Every metric that was measured, as the page has it behind a fold."""
    heads = ("every metric", "n", "min", "median", "p95", "max")
    rows = [
        (each.title, f"{each.n:,}", *(figures.quantity(v, each.unit) for v in (each.min, each.p50, each.p95, each.max)))
        for each in row.metrics
        if each.n
    ]
    if rows:
        yield table(heads, rows, numeric=range(1, 6))


def _titled(profile: str) -> str:
    """`Long texts (long_context)`: what it is for, and what options call it."""
    use = matrix_words.use(profile)
    return use if use == profile else f"{use} ({profile})"


def _repeated(row: ModelRow) -> Iterator[str]:
    yield f"{row.repetitions:,} repetition{'' if row.repetitions == 1 else 's'}"
    if row.client_error:
        yield row.client_error


def _grade(row: GradeRow) -> Sequence[object]:
    of = f": {row.of}" if row.of else ""
    return (
        f"{row.title}{of}",
        figures.quantity(row.value, row.unit),
        cell(row.grade or "not graded", tone=LEVELS.get(row.grade, "")),
        figures.quantity(row.threshold, row.unit),
        figures.quantity(row.unusable, row.unit),
        row.words,
    )


def _table(found: Table, specs: Sequence[Spec]) -> Iterator[Block]:
    yield heading(found.title, 3)
    if specs:
        yield charts([("", spec) for spec in specs], half=len(specs) > 1)
    if specs and len(found.rows) > _FEW_ROWS:
        yield text(f"The {len(found.rows):,} rows behind it are in the other reports.", quiet=True)
    elif found.rows:
        rows = ([_cell(value, unit) for value, unit in zip(row, found.units, strict=True)] for row in found.rows)
        numeric = [place for place in range(len(found.columns)) if _is_numeric(place, found)]
        yield table(tuple(map(figures.head, found.columns, found.units)), rows, numeric=numeric, most=_FEW_ROWS)
    if found.note:
        yield text(found.note, quiet=True)


def _cell(value: object, unit: str) -> str:
    return figures.cell(value if isinstance(value, str | float | int) or value is None else str(value), unit)


def _is_numeric(place: int, found: Table) -> bool:
    values = [row[place] for row in found.rows if row[place] is not None]
    return bool(values) and not any(isinstance(value, str) for value in values)


def _of(specs: Mapping[str, Spec], beginning: str) -> list[Spec]:
    return [spec for name, spec in specs.items() if name.startswith(beginning) and spec]
