"""The summary at the end of a session: readable at 80 columns, styled by names that the caller turns into colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_llmbench.display import display_safe
from pytest_llmbench.records import GateResult, Run
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.cells import cell_width, clipped, glued, one_line, wrapped
from pytest_llmbench.reports.findings import GradeRow
from pytest_llmbench.reports.model_names import fitted
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.reports.terminal_advice import advice_lines, standing_lines
from pytest_llmbench.reports.terminal_asked import asked_lines
from pytest_llmbench.reports.terminal_judges import judge_lines
from pytest_llmbench.reports.terminal_lines import MARKUP, TITLE_WIDTH, Line, Span
from pytest_llmbench.reports.terminal_tables import is_over_time, table_lines
from pytest_llmbench.reports.terminal_use_cases import use_case_lines
from pytest_llmbench.reports.view import InfraGroup, OutcomeCount, RunView, view
from pytest_llmbench.results.deciding import ADVISORY

__all__ = ["MARKUP", "Line", "servers", "summary"]

_COLUMNS = (
    ("load", 9),
    ("TTFT p50", 10),
    ("p95", 9),
    ("n", 5),
    ("prompt tok/s", 14),
    ("decode tok/s", 14),
    ("peak mem", 11),
)
"""Heads of the table and the cells each takes."""

_TABLE_WIDTH = sum(cells for _, cells in _COLUMNS)
_NARROWEST = 60
"""Columns that the summary of a matrix needs, which has no table of measurements."""
_MOST_TABLES = 3
"""Of one measurement."""
_GATE_MARKS = {"pass": ("✓", "good"), "fail": ("✗", "bad"), "inconclusive": ("?", "warn"), ADVISORY: ("!", "warn")}
_OUTCOME_STYLES = {"right": "good", "skipped": "dim", "unscored": "warn", "pending": "warn", "": "warn"}
_NEXT = {
    "interrupted": "interrupted: the same command with --resume last asks only the rest",
    "pending": "pending replies: the same command with --resume last collects those that have come",
    "over budget": "over budget: the same command with --resume last and a larger --max-cost asks only the rest",
}
"""Outcome or verdict, as it is called → what to do about it."""


def summary(run: Run, *, width: int = 80, report_path: str | None = None, shown: RunView | None = None) -> list[Line]:
    """The summary of a run.

    Args:
        run: read back whole from the store.
        width: columns of the terminal, at least 72, or 60 of a matrix; lines keep to it, but for a path, which is of no
            use when broken.
        report_path: where the HTML report was written.
        shown: the run's view, where it was made already.

    Returns:
        Lines of styled text without line ends or control characters; every style is a key of `MARKUP`.
    """
    shown = shown or view(run)
    wide, width = max(width, _TABLE_WIDTH), max(width, _NARROWEST if shown.has_cells else _TABLE_WIDTH)
    told = [(one_line(each), "warn") for each in shown.provenance]
    blocks = (
        list(_titled("origin", told, width)),
        list(_titled("host", [(glued(one_line(shown.host_line)), "")], width)),
        list(standing_lines(shown.advice, width) if shown.has_cells else _models(shown.models, width)),
        list(use_case_lines(shown.use_cases, wide)),
        list(judge_lines(shown.judging, wide)),
        list(asked_lines(shown, wide)),
        list(advice_lines(shown.advice, width, has_table=shown.has_cells)),
        list(_gates(shown, width)),
        list(_ending(shown, width, report_path)),
    )
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [[], *block] if lines else block
    return lines


def decision(run: Run, *, width: int = 80) -> list[Line]:
    """What the gates of a run decided, and what it comes to; lines as those of `summary`."""
    shown, width = view(run), max(width, _TABLE_WIDTH)
    told = [(one_line(each), "warn") for each in shown.provenance]
    ended = [("run".ljust(TITLE_WIDTH), "dim"), (shown.verdict.word, f"{shown.verdict.level} bold"), *_run_id(shown)]
    return [*_titled("origin", told, width), [], *_gates(shown, width), [], ended]


def servers(run: Run, *, width: int = 80) -> list[Line]:
    """Who served each measurement of a run; lines as those of `summary`."""
    lines: list[Line] = []
    for model in view(run).models:
        if model.server:
            lines += [
                [],
                [("server".ljust(TITLE_WIDTH), "dim"), (fitted(one_line(model.name), width - TITLE_WIDTH), "")],
            ]
            for fact in model.server:
                texts = wrapped(one_line(f"{fact.name}: {fact.value}"), max(width, _TABLE_WIDTH) - TITLE_WIDTH)
                lines += [[(" " * TITLE_WIDTH, ""), (text, "dim")] for text in texts]
    return lines


def _titled(title: str, texts: Sequence[Span], width: int) -> Iterator[Line]:
    """Wrapped texts beside a title in the margin."""
    lines = [(part, style) for text, style in texts for part in wrapped(text, width - TITLE_WIDTH)]
    for number, line in enumerate(lines):
        yield [(("" if number else title).ljust(TITLE_WIDTH), "dim"), line]


def _models(models: Sequence[ModelRow], width: int) -> Iterator[Line]:
    if not models:
        return
    margin = " " * min(width - _TABLE_WIDTH, TITLE_WIDTH)
    yield [(margin + "".join(head.rjust(cells) for head, cells in _COLUMNS), "dim")]
    for number, model in enumerate(models):
        if number:
            yield []
        yield _name_line(model, len(margin) + _TABLE_WIDTH)
        yield [(margin + _numbers(model), "")]
        graphics = f"graphics memory {figures.size(model.peak_vram_bytes)}" if model.peak_vram_bytes else ""
        for sentence in (graphics, model.remark, *model.notes):
            yield from ([(f"  {part}", "dim")] for part in wrapped(one_line(sentence), width - 2))
        yield from _findings(model, width)
    if any(figures.NOT_MEASURED in _numbers(model) for model in models):
        yield [(f"  {figures.NOT_MEASURED} not measured", "dim")]


def _findings(model: ModelRow, width: int) -> Iterator[Line]:
    """What the rating comes from, and the profile's tables."""
    rated = " · ".join(_rated(grade) for grade in model.grades)
    for number, part in enumerate(wrapped(glued(rated), width - 10)):
        yield [("  rated   " if not number else " " * 10, "dim"), (part, "")]
    shown = [table for table in model.tables if not is_over_time(table)][:_MOST_TABLES]
    for table in shown:
        lines = list(table_lines(table, width - 2))
        yield []
        yield [(f"  {part}", "bold") for part in wrapped(one_line(table.title), width - 2)][:1]
        yield from ([(f"  {line}", "")] for line in lines)
    if (more := len(model.tables) - len(shown)) > 0:
        yield [(f"  {more} more table{'s are' if more > 1 else ' is'} in the report", "dim")]


def _rated(grade: GradeRow) -> str:
    """`decode speed 139 tok/s, near instant (excellent)`."""
    name = one_line(f"{grade.title} {grade.of}")
    if grade.value is None:
        return f"{name} not measured"
    words = f", {grade.words}" if grade.words else ""
    return one_line(
        f"{name} {figures.quantity(grade.value, grade.unit)}{words}{f' ({grade.grade})' * bool(grade.grade)}"
    )


def _name_line(model: ModelRow, width: int) -> Line:
    profile, rating = f" · {clipped(one_line(model.profile), 20)}", clipped(one_line(model.rating), 16)
    taken = cell_width(profile) + cell_width(rating)
    name = fitted(one_line(model.label), width - taken - 2)
    return [(name, "bold"), (profile, "dim"), (" " * (width - taken - cell_width(name)), ""), (rating, "bold")]


def _numbers(model: ModelRow) -> str:
    texts = (
        figures.duration(model.load_s),
        figures.duration(model.ttft_p50_s),
        figures.duration(model.ttft_p95_s),
        str(model.ttft_n or figures.NOT_MEASURED),
        figures.speed(model.prompt_tps_p50),
        figures.speed(model.decode_tps_p50),
        figures.size(model.peak_rss_bytes),
    )
    return "".join(text.rjust(cells) for text, (_, cells) in zip(texts, _COLUMNS, strict=True))


def _gates(shown: RunView, width: int) -> Iterator[Line]:
    room = width - TITLE_WIDTH - 2
    several = len(shown.models) > 1
    for number, gate in enumerate(shown.gates):
        mark, style = _GATE_MARKS.get(gate.verdict, _GATE_MARKS["inconclusive"])
        margins = [[(("" if number else "gates").ljust(TITLE_WIDTH), "dim"), (f"{mark} ", f"{style} bold")]]
        detail_style = "dim" if gate.verdict == "pass" else style
        for line in _gate_lines(one_line(gate.gate), _detail(gate, several=several), detail_style, room):
            yield (margins.pop() if margins else [(" " * (TITLE_WIDTH + 2), "")]) + line


def _detail(gate: GateResult, *, several: bool) -> str:
    is_told = gate.gate.startswith(f"{gate.profile}, {gate.model}: ")  # as rules about use cases are
    about = f"{gate.model} · {gate.profile}" if several and gate.model and gate.profile and not is_told else ""
    return one_line(" · ".join(part for part in (gate.reason, about) if part))


def _gate_lines(rule: str, detail: str, style: str, room: int) -> Iterator[Line]:
    """Rule and reason on one line where both fit."""
    if cell_width(rule) + 3 + cell_width(detail) <= room:
        yield [(rule, ""), (f"   {detail}", style)]
        return
    yield from ([(part, "")] for part in wrapped(rule, room))
    yield from ([(part, style)] for part in wrapped(detail, room))


def _ending(shown: RunView, width: int, report_path: str | None) -> Iterator[Line]:
    if shown.outcomes:
        yield from _counts(shown.outcomes, width)
    for group in shown.infra_errors:
        texts = [(f"{group.count:,} × {one_line(group.category)}: {_names(group, width - 40)}", "bad")]
        yield from _titled("", texts, width)
    if shown.over_budget is not None:
        yield from _titled("", [(one_line(f"over budget: {shown.over_budget.example}"), "bad")], width)
    if shown.failed_attempts:
        yield from _titled("retries", [(_retries(shown), "warn")], width)
    for outcome, step in _NEXT.items():
        if shown.verdict.word == outcome or any(counted.words == outcome for counted in shown.outcomes):
            yield from _titled("next", [(step, "")], width)
    yield [("run".ljust(TITLE_WIDTH), "dim"), (shown.verdict.word, f"{shown.verdict.level} bold"), *_run_id(shown)]
    if report_path:
        yield [("report".ljust(TITLE_WIDTH), "dim"), (display_safe(report_path, keep=""), "")]


def _retries(shown: RunView) -> str:
    kinds = Counter(attempt.category for attempt in shown.failed_attempts).most_common()
    told = ", ".join(f"{count:,} × {one_line(category)}" for category, count in kinds)
    failed = len(shown.failed_attempts)
    attempts = f"{failed:,} attempt{'s' if failed > 1 else ''}"
    made = f"{shown.retries:,} for {attempts} that failed" if shown.retries else f"none; {attempts} failed"
    kept = "; what had come of replies is kept" * any(attempt.partial_text for attempt in shown.failed_attempts)
    return f"{made} ({told}){kept}"


def _counts(outcomes: Sequence[OutcomeCount], width: int) -> Iterator[Line]:
    line: Line = [("tests".ljust(TITLE_WIDTH), "dim")]
    for outcome in outcomes:
        plural = "s" if outcome.count > 1 and outcome.words.endswith("error") else ""
        text = f"{outcome.count:,} {clipped(one_line(outcome.words), 24)}{plural}"
        if sum(cell_width(span) for span, _ in line) + cell_width(text) + 5 > width:
            yield line
            line = [(" " * TITLE_WIDTH, "")]
        if len(line) > 1:
            line.append((" · ", "dim"))
        line.append((text, _OUTCOME_STYLES.get(outcome.outcome, "bad")))
    yield line


def _names(group: InfraGroup, width: int) -> str:
    more = f" and {len(group.tests) - 1} more" if len(group.tests) > 1 else ""
    return clipped(one_line(group.tests[0]), width) + more


def _run_id(shown: RunView) -> Iterator[Span]:
    yield f"   {clipped(one_line(shown.run_id), 40)}", "dim"
