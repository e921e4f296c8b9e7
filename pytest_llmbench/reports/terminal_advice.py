"""The part of the summary about what to run: a sentence a use, what to beware of; in full for `llmbench recommend`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmbench.reports import figures
from pytest_llmbench.reports.cells import cell_width, one_line, wrapped
from pytest_llmbench.reports.matrix_words import sentence
from pytest_llmbench.reports.model_names import fitted, footnote, marked
from pytest_llmbench.reports.terminal_lines import TITLE_WIDTH, Line
from pytest_llmbench.results.advice_words import listed
from pytest_llmbench.results.cautions import told_once
from pytest_llmbench.results.recommendations import FAST_ENOUGH_TPS, THIN_BETWEEN, Advice, Pick, Standing

_COLUMNS = (("right answers", 15), ("tokens/s", 10), ("memory", 11))
_ON_CARDS = ("graphics", 11)
_FURTHER = (("adjusted", 10), ("front", 7))
"""Heads of the table and the cells each takes: always, where a card is used, and in full."""
_NAME, _USE = 24, 17
"""Cells of a configuration that columns leave, and of a use."""
_MOST_WARNINGS, _MOST_ROWS = 5, 40
_LEGEND = (
    f"adjusted: share of right answers × decode speed, which counts up to {FAST_ENOUGH_TPS:g} tokens/s; "
    "front: no other one has at least its quality, speed and memory, and is surely better in one"
)


def advice_lines(advice: Advice, width: int, *, has_table: bool = False) -> Iterator[Line]:
    """What to run for which use, where there was something to choose from; nothing else.

    Args:
        advice: of a run.
        width: columns of the terminal.
        has_table: whether `standing_lines` stands above, and has told what a star means.
    """
    if advice.is_empty:
        return
    picks = [each for each in (*advice.picks, *([advice.balanced] if advice.balanced else [])) if each.configuration]
    for number, pick in enumerate(picks):
        room = width - TITLE_WIDTH - _USE
        head = [(("" if number else "advice").ljust(TITLE_WIDTH), "dim"), (pick.title.ljust(_USE), "")]
        yield [*head, (fitted(marked(one_line(pick.configuration)), room), "bold")]
        yield from _under(sentence(pick.configuration, pick.sentence), width)
    yield from _block("unsure", list(_thin(picks)), width, "dim")
    told = list(_warnings(advice))
    yield from _block("beware", told[:_MOST_WARNINGS], width, "warn")
    note = "" if has_table else footnote(each.configuration for each in advice.standings)
    yield from _block("", [note] if note else [], width, "dim")
    if (more := len(told) - _MOST_WARNINGS) > 0:
        yield from _titled("", f"{more} more warning{'s are' if more > 1 else ' is'} in the report", width, "dim")
    yield from _titled("", "`llmbench recommend` shows what this rests on, and why not the others", width, "dim")


def advice_in_full(advice: Advice, width: int) -> Iterator[Line]:
    """All of it."""
    if not (advice.standings or advice.left_out):
        yield [("this run measured nothing to choose from: `llmbench bench`, or tests with `bench`", "warn")]
        return
    yield from standing_lines(advice, width, in_full=True)
    if any(each.quality_adjusted_tps is not None for each in advice.standings):
        yield from ([(part, "dim")] for part in wrapped(_LEGEND, width))
    for pick in (*advice.picks, *([advice.balanced] if advice.balanced else [])):
        yield from _pick(pick, width)
    blocks: tuple[tuple[str, Sequence[str], str], ...] = (
        ("beware", list(_warnings(advice)), "warn"),
        ("quants", [each.sentence for each in advice.comparisons if each.metric != "peak_rss_bytes"], ""),
        ("sizes", [f"{each.title}: {told}" for each in advice.families for told in each.sentences], ""),
        ("costs", [each.sentence for each in advice.costs], ""),
        ("not run", [f"{each.configuration}: {each.reason}" for each in advice.left_out], "dim"),
        ("notes", advice.notes, "dim"),
    )
    for title, told, style in blocks:
        if told:
            yield []
        yield from _block(title, told, width, style)


def standing_lines(advice: Advice, width: int, *, in_full: bool = False) -> Iterator[Line]:
    """A row a configuration: what it answers right, how fast it is, what it takes; nothing where none was measured.

    Args:
        advice: of a run.
        width: columns of the terminal, at least 60.
        in_full: with the columns that need a legend, as far as there is room for them.
    """
    if not advice.standings:
        return
    columns = [*_COLUMNS, *([_ON_CARDS] if advice.uses_graphics else []), *(_FURTHER if in_full else ())]
    while sum(cells for _, cells in columns) > width - _NAME:
        columns.pop()
    room = width - sum(cells for _, cells in columns)
    yield [(" " * room + "".join(head.rjust(cells) for head, cells in columns), "dim")]
    for each in advice.standings[:_MOST_ROWS]:
        name = fitted(marked(one_line(each.configuration)), room - 1)
        values = _values(each)
        numbers = "".join(values[head].rjust(cells) for head, cells in columns)
        yield [(name + " " * (room - cell_width(name)), "bold"), (numbers, "")]
    if (more := len(advice.standings) - _MOST_ROWS) > 0:
        yield [(f"{more} more are in the report", "dim")]
    if note := footnote(each.configuration for each in advice.standings[:_MOST_ROWS]):
        yield from ([(part, "dim")] for part in wrapped(one_line(note), width))


def _values(standing: Standing) -> dict[str, str]:
    """Head of a column → what stands below it."""
    is_known = standing.quality_adjusted_tps is not None
    return {
        "right answers": figures.percent(standing.accuracy),
        "tokens/s": figures.speed(standing.decode_tps),
        "memory": figures.size(standing.memory_bytes),
        "graphics": "none" if standing.vram_bytes == 0 else figures.size(standing.vram_bytes),
        "adjusted": figures.speed(standing.quality_adjusted_tps),
        "front": "yes" if standing.is_on_front else "no" if is_known else figures.NOT_MEASURED,
    }


def _pick(pick: Pick, width: int) -> Iterator[Line]:
    yield []
    yield [(pick.title, "bold")]
    yield from _titled("", pick.sentence, width, "good" if pick.configuration else "warn")
    yield from _block("with", pick.evidence, width, "")
    yield from _block("not", pick.why_not, width, "dim")
    yield from _block("unsure", pick.thin_parts, width, "warn")


def _thin(picks: Sequence[Pick]) -> Iterator[str]:
    """What there is too little of to be sure, once for all uses that it holds for."""
    uses: dict[str, tuple[str, ...]] = {}
    for pick in picks:
        for part in pick.thin_parts:
            uses[part] = (*uses.get(part, ()), pick.title)
    for titles in dict.fromkeys(uses.values()):
        yield f"{listed(titles)}: {THIN_BETWEEN.join(part for part, held in uses.items() if held == titles)}"


def _warnings(advice: Advice) -> Iterator[str]:
    """What to beware of, once for all configurations that it holds for."""
    yield from (f"{', '.join(names)}: {told}" for names, told in told_once(advice.warnings))


def _block(title: str, texts: Sequence[str], width: int, style: str) -> Iterator[Line]:
    """Texts one below the other beside a title in the margin."""
    for number, text in enumerate(texts):
        yield from _titled("" if number else title, text, width, style)


def _under(text: str, width: int) -> Iterator[Line]:
    """A text below the line that it is about."""
    margin = " " * (TITLE_WIDTH + 2)
    yield from ([(margin, ""), (part, "")] for part in wrapped(marked(one_line(text)), width - len(margin)))


def _titled(title: str, text: str, width: int, style: str) -> Iterator[Line]:
    for number, part in enumerate(wrapped(marked(one_line(text)), width - TITLE_WIDTH)):
        yield [(("" if number else title).ljust(TITLE_WIDTH), "dim"), (part, style)]
