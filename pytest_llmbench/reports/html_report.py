"""One self-contained page: no request, no inline handler, no eval, nothing of a model's text obeyed.

The content security policy names the page's own scripts and style by their hashes. Vega would build functions from
strings; its interpreter walks the syntax tree instead.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_llmbench import __version__
from pytest_llmbench.display import display_safe
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Run, TestResult
from pytest_llmbench.reports import case_words, figures, history_words, judge_words
from pytest_llmbench.reports.charts import charts
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
    from markupsafe import Markup

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

_DATA = files("pytest_llmbench") / "data"
_IMPORT = re.compile(r"^import (\{[^}]*\}) from 'vega-util';$", re.MULTILINE)
_EXPORT = re.compile(r"^export \{ expression as expressionInterpreter \};$", re.MULTILINE)
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def render(run: Run, shown: RunView | None = None) -> str:
    """The HTML report; it can be encoded as UTF-8 whatever the run contains."""
    from markupsafe import Markup  # noqa: PLC0415  jinja2 is only needed once a report is written

    shown = shown or view(run)
    specs = charts(shown.charts) | pareto_charts(shown.use_cases) | trend_charts(shown.trends, shown.run_id)
    samples = samples_data(run, shown)
    scripts = [*(_vega() if specs else ()), _asset("report.js"), *([_asset("samples.js")] if samples else [])]
    style = _asset("report.css") + _asset("samples.css")
    groups, replies_left = _limited(run, shown)
    tests, tests_left = _tests(shown)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=shown,
            gates=verdict_rows(shown.gates),
            started=_when(run.started_at),
            took=_took(run),
            specs=Markup(script_json(specs)),  # noqa: S704  ASCII without <, > and &
            charts=specs,
            samples=samples,
            sample_data=Markup(script_json(samples)),  # noqa: S704  as above
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
            csp=_policy(scripts, style),
            scripts=[_raw(script) for script in scripts],
            style=_raw(style),
            metrics=METRICS.values(),
            meanings=OUTCOME_MEANING,
            version=__version__,
        )
    )


def prepare() -> None:
    """Make ready what does not depend on a run: for whoever has to wait anyway."""
    _environment().get_template("report.html.j2")


def script_json(data: Any) -> str:
    """JSON that can stand in a `<script>` element: nothing in it ends the element or begins a comment."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  see `render`

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        loader=FunctionLoader(_asset),
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


@cache
def _asset(name: str) -> str:
    text = (_DATA / name).read_text(encoding="utf-8")
    return _SOURCE_MAP.sub("", text).replace("\r\n", "\n")


@cache
def _vega() -> tuple[str, ...]:
    return _asset("vega/vega.min.js"), _asset("vega/vega-lite.min.js"), _interpreter()


def _interpreter() -> str:
    """The interpreter is published as a module only; a module cannot be loaded from within the page."""
    body, imports = _IMPORT.subn(r"const \1 = vega;", _asset("vega/vega-interpreter.js"))
    body, exports = _EXPORT.subn("vega.expressionInterpreter = expression;", body)
    if (imports, exports) != (1, 1):
        raise ValueError("data/vega/vega-interpreter.js is not built as expected: it was replaced by another version")
    return f"(() => {{\n{body}\n}})();"


def _raw(text: str) -> Markup:
    from markupsafe import Markup  # noqa: PLC0415  see `render`

    return Markup(text)  # noqa: S704  our own files, named in the policy by their hashes


def _policy(scripts: list[str], style: str) -> str:
    sources = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {sources}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _when(iso: str) -> str:
    moment = _parsed(iso)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC" if moment else iso


def _moment(iso: str) -> str:
    moment = _parsed(iso)
    return f"{moment:%Y-%m-%d %H:%M}" if moment else iso


def _took(run: Run) -> str:
    started, finished = _parsed(run.started_at), _parsed(run.finished_at or "")
    return figures.duration((finished - started).total_seconds()) if started and finished else ""


def _parsed(iso: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
