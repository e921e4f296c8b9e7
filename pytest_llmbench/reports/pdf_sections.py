"""A run as the blocks of a printed report, first page to last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Outcome, Run
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.asked import AskedRow
from pytest_llmbench.reports.chart_style import Spec
from pytest_llmbench.reports.charts import charts as run_charts
from pytest_llmbench.reports.facts import NOT_SET, Fact
from pytest_llmbench.reports.pdf_blocks import LEVELS, Block, brief, cell, charts, facts, heading, table, text
from pytest_llmbench.reports.pdf_cases import use_case_pages
from pytest_llmbench.reports.pdf_judges import judge_pages
from pytest_llmbench.reports.pdf_matrix import matrix_pages, recommendations
from pytest_llmbench.reports.pdf_models import model_pages
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.reports.verdict_rows import VerdictRow, verdict_rows
from pytest_llmbench.reports.view import OUTCOME_LEVELS, OUTCOME_MEANING, RunView, outcome_words

_MOST_TESTS = 60
_GATES: Mapping[str, tuple[str, str]] = {
    "pass": ("passed", "good"),
    "fail": ("failed", "bad"),
    "fail (advisory)": ("failed (advisory)", "warn"),
}
_SPEED_CHARTS = {
    "ttft": "Time to first token: a dot for each request, median and p95 as ticks",
    "decode": "Decode speed: median, slowest to fastest request",
    "prompt": "Prompt speed: median, slowest to fastest request",
}


def title(shown: RunView) -> str:
    """What the report is about."""
    return "Which model to run on this machine" if shown.has_cells else "How the models did"


def sections(run: Run, shown: RunView) -> Iterator[Block]:
    """The blocks, in the order in which they are read.

    Raises:
        MissingExtraError: the library that draws charts is not installed.
    """
    specs = run_charts(shown.charts)
    yield heading("Summary", 1)
    yield from (text(f"{sentence[:1].upper()}{sentence[1:]}.") for sentence in shown.provenance)
    yield from _infra_errors(shown)
    yield from recommendations(shown)
    yield from matrix_pages(run, shown)
    yield from _gates(verdict_rows(shown.gates))
    yield from use_case_pages(shown)
    yield from judge_pages(shown.judging)
    yield from _asked(() if shown.asked_is_told else shown.asked)
    if not shown.has_cells:
        yield from _measured(shown.models)
        yield from _speed(specs)
    yield from model_pages(shown, specs)
    yield from _tests(shown)
    yield from _appendix(shown)


def _infra_errors(shown: RunView) -> Iterator[Block]:
    if shown.infra_errors:
        told = ", ".join(f"{group.count:,} × {group.category}" for group in shown.infra_errors)
        yield text(f"Infra errors say nothing about a model: {told}.")


def _gates(rows: Sequence[VerdictRow]) -> Iterator[Block]:
    if rows:
        yield heading("Gates")
        yield table(("gate", "of", "verdict", "before", "now", "why"), map(_gate, rows), numeric=(3, 4), most=60)


def _gate(row: VerdictRow) -> Sequence[object]:
    words, tone = _GATES.get(row.verdict, ("inconclusive", "warn"))
    change = "" if row.change == figures.NOT_MEASURED else row.change
    return row.rule, row.subject, cell(words, tone=tone), row.before, cell(row.after, change), row.why


_ASKED_HEADS = ("model", "tests", "right", "wrong", "no score", "pass rate", "answer, median", "cost")


def _asked(rows: Sequence[AskedRow]) -> Iterator[Block]:
    if rows:
        yield heading("Results by model")
        yield table(_ASKED_HEADS, map(_asked_cells, rows), numeric=range(1, 8))


def _asked_cells(row: AskedRow) -> Sequence[object]:
    counts = (
        figures.NOT_MEASURED if row.only_judged else f"{count:,}"
        for count in (row.n, row.right, row.wrong, row.unanswered)
    )
    rate = cell(figures.percent(row.pass_rate), figures.percent_range(row.pass_rate_low, row.pass_rate_high))
    return row.model, *counts, rate, figures.duration(row.e2e_p50_s), row.costs.total.words


_MEASURED_HEADS = ("model", "profile", "first token", "decode tok/s", "prompt tok/s", "peak memory", "rating")


def _measured(rows: Sequence[ModelRow]) -> Iterator[Block]:
    if rows:
        yield heading("Measurements")
        yield table(_MEASURED_HEADS, map(_measured_cells, rows), numeric=(2, 3, 4, 5))


def _measured_cells(row: ModelRow) -> Sequence[object]:
    return (
        row.label,
        row.profile,
        cell(figures.duration(row.ttft_p50_s), f"p95 {figures.duration(row.ttft_p95_s)}" if row.ttft_n else ""),
        figures.speed(row.decode_tps_p50),
        figures.speed(row.prompt_tps_p50),
        figures.size(row.peak_rss_bytes),
        cell(row.rating or "not rated", tone=LEVELS.get(row.rating, "")),
    )


def _speed(specs: Mapping[str, Spec]) -> Iterator[Block]:
    wanted = [(words, specs[name]) for name, words in _SPEED_CHARTS.items() if name in specs]
    if wanted:
        yield heading("Speed")
        yield charts(wanted)


def _tests(shown: RunView) -> Iterator[Block]:
    """How tests ended, and those that were not right."""
    yield heading("Tests", 1)
    counts = ((o.words, f"{o.count:,}", OUTCOME_MEANING.get(o.words, "")) for o in shown.outcomes)
    yield table(("outcome", "tests", "what it means"), counts, numeric=(1,))
    odd = [test for test in shown.tests if test.outcome not in {Outcome.RIGHT, Outcome.SKIPPED}]
    if odd:
        yield heading("Not right")
        rows = (
            (
                test.sample or test.nodeid.rpartition("::")[2],
                test.model,
                cell(outcome_words(test.outcome), tone=OUTCOME_LEVELS.get(test.outcome, "")),
                brief(f"{test.category} {test.message}"),
            )
            for test in odd
        )
        yield table(("sample or test", "model", "outcome", "why"), rows, most=_MOST_TESTS)


def _appendix(shown: RunView) -> Iterator[Block]:
    yield heading("Appendix", 1, new_page=True)
    yield heading("The machine")
    yield facts(shown.host)
    yield heading("Versions and command")
    yield facts(shown.environment)
    yield heading("Settings of the run")
    yield facts(fact for fact in shown.settings if fact.value != NOT_SET)
    if found := _not_read(shown):
        yield heading("What this machine does not tell")
        yield facts(found)
    used = {figure.metric for row in (shown.matrix.rows if shown.matrix else ()) for figure in row.figures.values()}
    used |= {metric.name for row in shown.models for metric in row.metrics if metric.n}
    if used:
        yield heading("What the metrics mean")
        yield facts(Fact(metric.title, metric.definition) for metric in METRICS.values() if metric.name in used)


def _not_read(shown: RunView) -> list[Fact]:
    return list({fact.name: fact for row in shown.models for fact in row.unavailable}.values())
