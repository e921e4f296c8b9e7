"""The reference page of report formats."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.reports import WRITERS, figures_sheet, file_name, matrix_sheet
from pytest_llmbench.reports.columns import RUN_FIELDS
from pytest_llmbench.reports.junit_report import ELEMENTS, GATES

_FOR = {
    "html": "one file to look at, without any request to the network: tables, charts, samples, prompts and replies",
    "json": "everything, lossless, by [report.schema.json](report.schema.json)",
    "csv": "a row for each model and profile, use case and test",
    "md": "tables as Markdown, for a pull request or a step summary",
    "samples.csv": "a row for each sample, model and prompt",
    "junit": "JUnit XML for CI: tests by outcome, scores and metrics as properties, the gates as a suite",
    "benchmark.json": "times as pytest-benchmark writes them, for its `compare` and for github-action-benchmark",
    "matrix.csv": "a row for each model × quantization × server settings, [its columns](#the-matrix-as-a-table)",
    "pdf": "pages to print, with the same charts; needs the extra `pdf`",
    "jsonl": "the rows of `parquet`, an object a line",
    "parquet": "a row for each [figure](#figures-as-rows), for data frames and BI; needs the extra `parquet`",
    "matrix.parquet": "`matrix.csv` with types; needs the extra `parquet`",
}


def reports_page() -> str:
    """Every format, and what stands in those that other tools read."""
    rows = [(f"`{name}`", f"`{file_name(name)}`", _FOR[name]) for name in WRITERS]
    intro = (
        "# Report formats\n\n"
        "[`--llmbench-report`](options.md#report) chooses what is written when a run ends, to `reports/RUN` in the\n"
        "results folder; `llmbench report RUN -f FORMAT` writes any of them later.\n\n"
    )
    return (
        intro
        + table(("format", "file", "what it is for"), rows)
        + _TEMPLATES
        + _CSV
        + _junit()
        + _BENCHMARK
        + _matrix()
        + _figures()
    )


_TEMPLATES = """
[Report templates](report-template.md) of your own make any other. What to take for what:
[Export results](../how-to/export-results.md).
"""


_CSV = """
## The CSV report

A row is a measurement (`profile` is its profile), a model's tests of replies (`tests`), a model of a use case
(`use case`) or of its damaged inputs (`damaged inputs`), or a gate (`gate`). An empty cell is "not measured", or does
not apply. `failed_attempts` counts requests that failed, asked once more or not: of a measurement and of tests all of
the model's in the run, of a use case those of its samples, judges' among them; `cost_failed_usd` is what they cost.
"""


def _matrix() -> str:
    own = [(f"`{field.name}`", field.kind, field.about) for field in matrix_sheet.OWN_FIELDS]
    profile = [(f"`PROFILE.{name}`", kind, about) for name, (kind, _, about) in matrix_sheet.OF_A_PROFILE.items()]
    metric = [
        (f"`PROFILE.METRIC{ending}`", kind, about) for ending, (_, kind, about) in matrix_sheet.OF_A_METRIC.items()
    ]
    return (
        "\n## The matrix as a table\n\n`matrix.csv` and `matrix.parquet`. A metric has columns where one\n"
        'configuration was measured in it; an empty cell is "not measured".\n\n'
        + table(("column", "kind", ""), [*_OF_RUN, *own, *profile, *metric])
    )


def _figures() -> str:
    own = [(f"`{field.name}`", field.kind, field.about) for field in figures_sheet.OWN_FIELDS]
    return "\n## Figures as rows\n\n`parquet` and `jsonl`. The columns are the same in every run.\n\n" + table(
        ("column", "kind", ""), [*_OF_RUN, *own]
    )


_OF_RUN = [(f"`{name}`", kind, about) for name, kind, _, about in RUN_FIELDS]


def _junit() -> str:
    outcomes = [(f"`{outcome or 'unfinished'}`", words) for outcome, (_, words) in ELEMENTS.items()]
    return "\n".join(
        (
            _JUNIT,
            table(("outcome", "in its `testcase`"), outcomes),
            _GATES.format(GATES),
            table(("property", ""), _PROPERTIES),
            _OF_PYTEST,
        )
    )


_JUNIT = """
## JUnit XML

Valid by the schema of Jenkins' xUnit plugin (junit-10.xsd), whatever models wrote. A suite is one file of tests and
one model; a test's outcome, scores and reasons stand in its `system-out`.
"""
_GATES = """The suite `{}` has a test for each gate: a failed one is a `failure`, an inconclusive one `skipped`
(a `failure` with `--llmbench-inconclusive=fail`), one that only advises fails nothing. So both are seen: a wrong
sample under a gate with its reason, and the gate as what decides.

The schema knows properties of suites only; those of a test bear its name:
"""
_PROPERTIES = (
    ("`llmbench.USE_CASE.METRIC`", "of the suite's model, with `.low`, `.high` (95 %) and `.n`"),
    ("`llmbench.PROFILE.METRIC.p50`", "and `.p95`, `.n`, of measurements that the suite's tests used"),
    ("`llmbench.score[TEST]`", "all of a sample's validators together, 0 to 1"),
    ("`llmbench.score.VALIDATOR[TEST]`", "one of them"),
    ("`llmbench.gate.N`", "the rule, with `.verdict`, `.reason`, `.value`, `.limit`, `.n`, ..."),
    ("`llmbench.run`", "and `.exit_code`, `.git_revision`, `.machine`"),
)
_OF_PYTEST = """### pytest's own `--junitxml`

It works as ever, with and without `-n`, and has tests of yours that do not use llmbench, too: a wrong sample under
a gate has passed there, unscored and pending ones are skipped. The gates and the run are properties of its suite
(`llmbench.gate.N...`, `llmbench.run`); no `failure` stands for a gate, the exit code does.
"""
_BENCHMARK = """
## pytest-benchmark's JSON

Each metric that is a time, of each measurement and of the calls of each use case, is a benchmark called
`PROFILE::METRIC[MODEL]` with its raw values; `stats` has all fields of pytest-benchmark, `ops` is 1 / mean. Speeds
are not in it (`tpot_s` is the time that `decode_tps` is the inverse of): its readers take less for better.

```console
$ pytest-benchmark compare before/report.benchmark.json after/report.benchmark.json --group-by=fullname
```

github-action-benchmark reads it with `tool: pytest`. Both compare single numbers against a percentage: on identical
code such a rule errs often. [Tell whether something became slower](../how-to/gate-speed.md) has one that does not.
"""
