"""A run → what every report shows of it. The writers differ in form only; no number is computed anywhere else.

`None` is "not measured" and is shown as such. Text of models and providers is here as it came: each writer makes it
safe for its own medium.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_llmbench.records import FailedAttempt, GateResult, Measurement, Outcome, Run, Series, Table, TestResult
from pytest_llmbench.reports.asked import AskedRow, asked_rows
from pytest_llmbench.reports.facts import Fact, environment_facts, host_facts, host_line, settings_facts
from pytest_llmbench.reports.findings import Lines, pictures, tables_of
from pytest_llmbench.reports.matrix_view import MatrixView
from pytest_llmbench.reports.over_budget import OverBudget, over_budget
from pytest_llmbench.reports.provenance import provenance
from pytest_llmbench.reports.rows import ModelRow, model_row
from pytest_llmbench.reports.server_logs import ServerLog
from pytest_llmbench.reports.verdict import Verdict, verdict
from pytest_llmbench.results.costs import Costs, Ledger, TestCost
from pytest_llmbench.results.history import History
from pytest_llmbench.results.judge_use import Judging, judging
from pytest_llmbench.results.recommendations import Advice
from pytest_llmbench.results.retries import asked_again
from pytest_llmbench.results.use_cases import CaseTable, tables

OUTCOME_WORDS: dict[str, str] = {
    Outcome.RIGHT: "right",
    Outcome.WRONG: "wrong",
    Outcome.TEST_ERROR: "test error",
    Outcome.INFRA_ERROR: "infra error",
    Outcome.OVER_BUDGET: "over budget",
    Outcome.PENDING: "pending",
    Outcome.UNSCORED: "unscored",
    Outcome.SKIPPED: "skipped",
    "": "unfinished",
}
"""Outcome → how it is called in a report, in the order in which they are counted."""

OUTCOME_MEANING: dict[str, str] = {
    "right": "Every assertion of the test held.",
    "wrong": "The reply or the measurement was not what the test asserted.",
    "test error": "The test's own code raised something that says nothing about the model.",
    "infra error": "The machinery failed (server, network, store); the model is not to blame and gets no score of 0.",
    "over budget": "Not asked: the budget of the run was spent.",
    "pending": "Submitted to the provider's batch API; `--resume` collects the reply.",
    "unscored": "The judge gave no usable answer.",
    "skipped": "Not run, for the reason given.",
    "unfinished": "Started, and no outcome was told.",
}

OUTCOME_LEVELS: dict[str, str] = {
    Outcome.RIGHT: "good",
    Outcome.WRONG: "bad",
    Outcome.TEST_ERROR: "bad",
    Outcome.INFRA_ERROR: "bad",
    Outcome.OVER_BUDGET: "bad",
    Outcome.PENDING: "warn",
    Outcome.UNSCORED: "warn",
    "": "warn",
}
"""Outcome → `good`, `warn` or `bad`; the others are neither."""

_SHOWN_FIRST = (
    Outcome.TEST_ERROR,
    Outcome.WRONG,
    Outcome.INFRA_ERROR,
    Outcome.OVER_BUDGET,
    Outcome.PENDING,
    "",
    Outcome.UNSCORED,
    Outcome.RIGHT,
    Outcome.SKIPPED,
)


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many tests ended in one way."""

    outcome: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class InfraGroup:
    """The infra errors of one category."""

    category: str
    count: int
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """The raw values behind the charts, of one row."""

    name: str
    ttft_s: tuple[float, ...]
    decode_tps: tuple[float, ...]
    prompt_tps: tuple[float, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Lines, ...]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as a reader meets it, top to bottom."""

    run_id: str
    started_at: str
    finished_at: str | None
    exit_code: int | None
    verdict: Verdict
    provenance: tuple[str, ...]
    """Sentences about what comes from another run, or was decided later; mostly none."""
    host_line: str
    host: tuple[Fact, ...]
    models: tuple[ModelRow, ...]
    asked: tuple[AskedRow, ...]
    """Tests of replies, by model; empty where neither samples nor paid calls are in the run."""
    use_cases: tuple[CaseTable, ...]
    judging: Judging
    """Who judged: held against people, or at work; empty where nobody did."""
    costs: Costs | None
    """Of the whole run; None where nothing has a price."""
    test_costs: tuple[TestCost, ...]
    gates: tuple[GateResult, ...]
    outcomes: tuple[OutcomeCount, ...]
    infra_errors: tuple[InfraGroup, ...]
    over_budget: OverBudget | None
    """What tests could not ask, since too little was left; None: nothing."""
    failed_attempts: tuple[FailedAttempt, ...]
    """Requests that failed; what asking once more gave stands among the replies."""
    retries: int
    """How many attempts were made because one before them had failed."""
    tests: tuple[TestResult, ...]
    """What needs a reader's eye first, else in the order in which they ran."""
    charts: tuple[ChartSeries, ...]
    environment: tuple[Fact, ...]
    settings: tuple[Fact, ...]
    trends: tuple[History, ...] = ()
    """How what was measured went over the last runs; empty where they were not looked for."""
    matrix: MatrixView | None = None
    """The configurations beside each other; None where there is nothing to compare."""
    advice: Advice = field(default_factory=Advice)
    """Which of them to run for what."""
    logs: tuple[ServerLog, ...] = ()
    """Of the servers; empty where nobody asked for them."""
    has_cells: bool = False
    """Whether a matrix was planned, and not only several models measured."""

    @property
    def own_tests(self) -> tuple[TestResult, ...]:
        """The tests that are about no sample of a use case; those are listed by themselves."""
        return tuple(test for test in self.tests if test.evaluation is None)

    @property
    def asked_is_told(self) -> bool:
        """Whether the table of the one use case says what the table of tests by model would say again."""
        told = sum(count for table in self.use_cases for row in table.rows for count in row.outcomes.values())
        return len(self.use_cases) == 1 and told == sum(row.n + row.skipped for row in self.asked)


def view(run: Run) -> RunView:
    """The one view of a run.

    Args:
        run: read back whole from the store.
    """
    models = tuple(model_row(measurement) for measurement in run.measurements)
    ledger = Ledger(run)
    costs = ledger.of_run() if ledger.is_shown else None
    advice, matrix = _matrix(run)
    return RunView(
        run_id=run.id,
        started_at=run.started_at,
        finished_at=run.finished_at,
        exit_code=run.exit_code,
        verdict=verdict(run),
        provenance=provenance(run, costs),
        host_line=host_line(run.host),
        host=host_facts(run.host),
        models=models,
        asked=asked_rows(run, ledger),
        use_cases=tables(run),
        judging=judging(run),
        costs=costs,
        test_costs=ledger.by_test(run) if ledger.is_shown else (),
        gates=tuple(run.gates),
        outcomes=outcome_counts(run.results),
        infra_errors=_infra_groups(run.results),
        over_budget=over_budget(run.results),
        failed_attempts=tuple(run.failed_attempts),
        retries=asked_again(run.replies, run.failed_attempts),
        tests=tuple(sorted(run.results, key=lambda result: urgency(result.outcome))),
        charts=_chart_series(models, run.measurements),
        environment=environment_facts(run.environment),
        settings=settings_facts(run.settings),
        matrix=matrix,
        advice=advice,
        has_cells=bool(run.cells),
    )


def _matrix(run: Run) -> tuple[Advice, MatrixView | None]:
    """What is advised, and the matrix it rests on; nothing where there is nothing to choose between."""
    if not run.cells and len({measurement.model for measurement in run.measurements}) < 2:
        return Advice(), None
    from pytest_llmbench.reports.matrix_rows import matrix_view  # noqa: PLC0415 - most runs compare nothing
    from pytest_llmbench.results.recommend import recommendations  # noqa: PLC0415 - as above

    advice = recommendations(run)
    return advice, matrix_view(run, advice)


def outcome_words(outcome: str) -> str:
    """How an outcome is called in a report; one that a newer version stored keeps its own name."""
    return OUTCOME_WORDS.get(outcome, outcome.replace("_", " "))


def outcome_counts(results: Sequence[TestResult]) -> tuple[OutcomeCount, ...]:
    """The outcomes that occurred, each counted by itself."""
    found = Counter(str(result.outcome) for result in results)
    order = [*OUTCOME_WORDS, *(outcome for outcome in found if outcome not in OUTCOME_WORDS)]
    return tuple(
        OutcomeCount(str(outcome), outcome_words(outcome), found[outcome]) for outcome in order if found[outcome]
    )


def urgency(outcome: str) -> int:
    """The place of an outcome among all: what needs a reader's eye comes first."""
    return _SHOWN_FIRST.index(outcome) if outcome in _SHOWN_FIRST else 0


def _infra_groups(results: Sequence[TestResult]) -> tuple[InfraGroup, ...]:
    groups: dict[str, list[str]] = {}
    for result in results:
        if result.outcome == Outcome.INFRA_ERROR:
            groups.setdefault(result.category or "internal", []).append(result.nodeid)
    by_count = sorted(groups.items(), key=lambda group: -len(group[1]))
    return tuple(InfraGroup(category, len(tests), tuple(tests)) for category, tests in by_count)


def _chart_series(models: Sequence[ModelRow], measurements: Sequence[Measurement]) -> tuple[ChartSeries, ...]:
    names = _distinct([row.name for row in models])
    return tuple(
        ChartSeries(
            name=name,
            ttft_s=_finite(measurement.series("ttft_s")),
            decode_tps=_finite(measurement.series("decode_tps")),
            prompt_tps=_finite(measurement.series("prompt_tps")),
            tables=tables_of(measurement),
            pictures=pictures(measurement),
        )
        for name, measurement in zip(names, measurements, strict=True)
    )


def _finite(series: Series) -> tuple[float, ...]:
    return tuple(value for value in series.values if math.isfinite(value))


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one occurs twice (the same model with other settings)."""
    total, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} #{seen[name]}" if total[name] > 1 else name)
    return numbered
