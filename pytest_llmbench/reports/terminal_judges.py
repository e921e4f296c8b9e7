"""The part of the summary about judges: whom to trust, and why not."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmbench.reports.cells import clipped, one_line, wrapped
from pytest_llmbench.reports.judge_words import (
    baseline_words,
    heading,
    held_cells,
    judge_remarks,
    obedience_level,
    obedience_words,
    silence_words,
    together_words,
    used_cells,
)
from pytest_llmbench.reports.terminal_lines import TITLE_WIDTH, Line
from pytest_llmbench.results.held_judges import Calibrated
from pytest_llmbench.results.judge_use import Judging

_COLUMNS = (("agreement", 24), ("kappa", 23), ("first place", 13), ("flips", 9), ("unusable", 10))
"""Heads of the table and the cells each takes; 79 in all."""
_MOST_TABLES, _MOST_JUDGES, _MOST_REMARKS = 10, 20, 6


def judge_lines(judging: Judging, width: int) -> Iterator[Line]:
    """Judges held against people, and judges at work; nothing where nobody judged."""
    for number, table in enumerate(judging.calibrated[:_MOST_TABLES]):
        if number:
            yield []
        yield from _calibrated(table, width)
    if judging.calibrated and (judging.used or judging.tried):
        yield []
    yield from _used(judging, width)
    yield from _tried(judging, width)


def _calibrated(table: Calibrated, width: int) -> Iterator[Line]:
    yield from _titled("judges", heading(table), width)
    yield [("".join(head.rjust(cells) for head, cells in _shown(width)), "dim")]
    for judge in table.judges[:_MOST_JUDGES]:
        cells = held_cells(judge)
        mark, style = ("✓ ", "good") if cells.is_enough else ("! ", "warn")
        yield [(mark, f"{style} bold"), (clipped(one_line(cells.judge), width - 2), "bold")]
        texts = cells.agreement, cells.kappa, cells.position.partition(" (")[0], cells.flips.partition(" (")[0]
        columns = zip((*texts, cells.unusable), _shown(width), strict=False)
        yield [("".join(text.rjust(room) for text, (_, room) in columns), "")]
        yield from ([("  " + part, style)] for part in wrapped(one_line(cells.sentence), width - 2))
    told = [baseline_words(table), *(together_words(table.together) if table.together else ())]
    for remark in [each for each in told if each][:_MOST_REMARKS]:
        yield from ([("  " + part, "dim")] for part in wrapped(one_line(remark), width - 2))


def _shown(width: int) -> tuple[tuple[str, int], ...]:
    """The columns that a terminal has room for."""
    return _COLUMNS if width >= sum(cells for _, cells in _COLUMNS) else _COLUMNS[:-1]


def _used(judging: Judging, width: int) -> Iterator[Line]:
    """Each judge of a use case once, with why it does not count; how it judged each model is in the report."""
    seen: dict[str, str] = {}
    for judge in judging.used:
        cells = used_cells(judge)
        why = f": {cells.why}" if cells.why else ""
        seen.setdefault(f"{cells.judge} {cells.standing} on {cells.use_case}{why}", cells.level)
    for number, (said, level) in enumerate(list(seen.items())[:_MOST_JUDGES]):
        title = "" if number or judging.calibrated else "judges"
        lines = wrapped(one_line(said), width - TITLE_WIDTH)
        for place, part in enumerate(lines):
            yield [((title if not place else "").ljust(TITLE_WIDTH), "dim"), (part, level)]
    for silence in [said for judge in judging.used if (said := silence_words(judge))][:_MOST_REMARKS]:
        yield from ([(" " * TITLE_WIDTH + part, "warn")] for part in wrapped(one_line(silence), width - TITLE_WIDTH))
    for remark in list(judge_remarks(judging))[:_MOST_REMARKS]:
        yield from ([(" " * TITLE_WIDTH + part, "dim")] for part in wrapped(one_line(remark), width - TITLE_WIDTH))


def _tried(judging: Judging, width: int) -> Iterator[Line]:
    """Those that obeyed first."""
    ordered = sorted(judging.tried, key=lambda judge: -judge.obeyed)[:_MOST_JUDGES]
    for number, judge in enumerate(ordered):
        title = "" if number or judging.calibrated or judging.used else "judges"
        for place, part in enumerate(wrapped(one_line(obedience_words(judge)), width - TITLE_WIDTH)):
            yield [((title if not place else "").ljust(TITLE_WIDTH), "dim"), (part, obedience_level(judge))]


def _titled(title: str, text: str, width: int) -> Iterator[Line]:
    for number, part in enumerate(wrapped(one_line(text), width - TITLE_WIDTH)):
        yield [(("" if number else title).ljust(TITLE_WIDTH), "dim"), (part, "")]
