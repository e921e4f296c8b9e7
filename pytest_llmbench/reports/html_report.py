"""One self-contained page: no request, no inline handler, no eval, nothing of a model's text obeyed."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_llmbench import __version__
from pytest_llmbench.display import display_safe
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Run, TestResult
from pytest_llmbench.reports import case_words, figures, history_words, judge_words, matrix_table, matrix_words
from pytest_llmbench.reports.chart_style import Spec
from pytest_llmbench.reports.charts import charts
from pytest_llmbench.reports.matrix_charts import CHARTS, matrix_charts
from pytest_llmbench.reports.moments import parsed, took_s, when
from pytest_llmbench.reports.page_assets import asset, policy, raw, script_data, vega
from pytest_llmbench.reports.page_charts import packed
from pytest_llmbench.reports.pareto import pareto_charts
from pytest_llmbench.reports.replies import ReplyGroup, reply_groups
from pytest_llmbench.reports.robust_words import legend, robust_cells
from pytest_llmbench.reports.samples import samples_data
from pytest_llmbench.reports.trend_charts import trend_charts
from pytest_llmbench.reports.verdict_rows import verdict_rows
from pytest_llmbench.reports.view import OUTCOME_LEVELS, OUTCOME_MEANING, RunView, outcome_counts, outcome_words, view
from pytest_llmbench.results.money import money

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_REPLIES = 300
"""A page with more stops being readable, and browsers slow down; the JSON report has all."""

FEW_TESTS, MAX_TESTS = 300, 100
"""With more tests than the first, so many of each outcome are in the page."""

MAX_ATTEMPTS = 50
"""Failed attempts that are listed."""

MAX_TEXT = 20_000
"""Characters shown of one text."""

FEW_ROWS, MAX_ROWS = 12, 400
"""Rows of one table of a profile that are in sight, and that are in the page."""

_STYLES = ("report.css", "samples.css")
_MATRIX_STYLES = ("tabulator/tabulator_simple.min.css",)
"""Before our own, which then say how it looks."""


def render(run: Run, shown: RunView | None = None) -> str:
    """The HTML report; it can be encoded as UTF-8 whatever the run contains."""
    shown = shown or view(run)
    specs = _specs(run, shown)
    samples = samples_data(run, shown)
    scripts = _scripts(shown, has_charts=bool(specs), has_samples=bool(samples))
    style = "".join(map(asset, _STYLES if shown.matrix is None else (*_MATRIX_STYLES, *_STYLES, "matrix.css")))
    groups, replies_left = _limited(run, shown)
    tests, tests_left = _tests(shown)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=shown,
            gates=verdict_rows(shown.gates),
            started=when(run.started_at),
            took=_took(run),
            specs=script_data(packed(specs)),
            charts=specs,
            samples=samples,
            sample_data=script_data(samples),
            outcome_level=OUTCOME_LEVELS,
            groups=groups,
            replies_left=replies_left,
            tests=tests,
            tests_left=tests_left,
            outcomes=outcome_counts(shown.own_tests),
            test_costs={test.key: test.costs.total.words for test in shown.test_costs},
            few_tests=MAX_TESTS,
            max_attempts=MAX_ATTEMPTS,
            cap=_cap(run),
            few_rows=FEW_ROWS,
            max_rows=MAX_ROWS,
            csp=policy(scripts, style),
            scripts=[raw(script) for script in scripts],
            style=raw(style),
            metrics=METRICS.values(),
            meanings=OUTCOME_MEANING,
            version=__version__,
            matrix_charts=CHARTS,
            words=matrix_words,
            in_table=matrix_table,
        )
    )


def _specs(run: Run, shown: RunView) -> dict[str, Spec]:
    """Every chart of the page; a matrix has its own in place of a lane for each measurement."""
    found = charts(shown.charts) | pareto_charts(shown.use_cases) | trend_charts(shown.trends, shown.run_id)
    if shown.matrix is None:
        return found
    left = {"ttft", "decode", "prompt"} if shown.has_cells else set()
    return {name: spec for name, spec in found.items() if name not in left} | matrix_charts(run, shown.matrix)


def _scripts(shown: RunView, *, has_charts: bool, has_samples: bool) -> list[str]:
    own = ["report.js", *(["samples.js"] if has_samples else [])]
    if shown.matrix is not None:
        own = ["tabulator/tabulator.min.js", *own, "matrix.js"]
    return [*(vega() if has_charts else ()), *map(asset, own)]


def prepare() -> None:
    """Make ready what does not depend on a run: for whoever has to wait anyway."""
    _environment().get_template("report.html.j2")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  only needed once a report is written

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        loader=FunctionLoader(asset),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": figures.duration,
        "speed": figures.speed,
        "size": figures.size,
        "percent": figures.percent,
        "percent_to": figures.percent_range,
        "quantity": figures.quantity,
        "cell": figures.cell,
        "head": figures.head,
        "plus_minus": _plus_minus,
        "count": _count,
        "place": _place,
        "outcome": outcome_words,
        "cut": _cut,
        "asked_words": case_words.asked_words,
        "best_words": case_words.best_words,
        "remarks": lambda table: list(case_words.remarks(table)),
        "variance_words": case_words.variance_words,
        "slice_grids": case_words.slice_grids,
        "validator_grid": case_words.validator_grid,
        "price": case_words.price,
        "robust_cells": robust_cells,
        "robust_legend": legend,
        "overview": case_words.overview,
        "metric_title": lambda name: METRICS[name].title if name in METRICS else name,
        "moment": _moment,
        "figure_words": history_words.figure_words,
        "interval_words": history_words.interval_words,
        "change_words": history_words.change_words,
        "verdict_word": history_words.verdict_word,
        "held_cells": judge_words.held_cells,
        "used_cells": judge_words.used_cells,
        "held_heading": judge_words.heading,
        "baseline_words": judge_words.baseline_words,
        "together_words": lambda together: list(judge_words.together_words(together)) if together else [],
        "obedience_words": judge_words.obedience_words,
        "obedience_level": judge_words.obedience_level,
        "judge_remarks": lambda judging: list(judge_words.judge_remarks(judging)),
    }
    return environment


def _finalize(value: object) -> object:
    """Every value that is put into the page goes through here, before it is escaped."""
    if value is None:
        return figures.NOT_MEASURED
    return value if hasattr(value, "__html__") else display_safe(str(value))


def _plus_minus(error_s: float | None) -> str:
    return "" if error_s is None else f"± {figures.duration(error_s)}"


def _cut(text: str) -> str:
    left = len(text) - MAX_TEXT
    return f"{text[:MAX_TEXT]}\n… {left} more characters: see the JSON report" if left > 0 else text


def _count(number: int | None) -> str:
    return figures.NOT_MEASURED if number is None else f"{number:,}"


def _place(share: float) -> str:
    """Where a share stands on a line of 100 units."""
    return f"{share * 100:.1f}"


def _limited(run: Run, shown: RunView) -> tuple[list[tuple[ReplyGroup, tuple[Any, ...]]], int]:
    """The groups with the replies that are shown, and how many replies are not."""
    room, kept = MAX_REPLIES, []
    for group in reply_groups(run, shown.tests):
        kept.append((group, group.replies[:room]))
        room -= len(group.replies[:room])
        if room <= 0:
            break
    return kept, len({reply.id for reply in run.replies}) - (MAX_REPLIES - room)


def _tests(shown: RunView) -> tuple[list[TestResult], int]:
    """The tests that are shown, and how many are not; of each outcome some, so that none is out of sight."""
    own = shown.own_tests
    if len(own) <= FEW_TESTS:
        return list(own), 0
    kept: list[TestResult] = []
    seen: Counter[str] = Counter()
    for result in own:
        seen[result.outcome] += 1
        if seen[result.outcome] <= MAX_TESTS:
            kept.append(result)
    return kept, len(own) - len(kept)


def _cap(run: Run) -> str:
    """The budget of the run; empty where it had none."""
    cap = str(run.settings.get("max_cost") or "")
    try:
        return money(Decimal(cap)) if cap else ""
    except InvalidOperation:
        return ""


def _moment(iso: str) -> str:
    moment = parsed(iso)
    return f"{moment:%Y-%m-%d %H:%M}" if moment else iso


def _took(run: Run) -> str:
    seconds = took_s(run)
    return "" if seconds is None else figures.duration(seconds)
