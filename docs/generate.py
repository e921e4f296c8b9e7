"""Write docs/reference from the package's own tables; tests/test_cli_docs.py fails when a file is stale.

Run it from anywhere: `python docs/generate.py`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench import config
from pytest_llmbench.bench import Profile
from pytest_llmbench.cli.config import example
from pytest_llmbench.cli.verb import Argument, Verb
from pytest_llmbench.cli.verbs import DESCRIPTION, GROUPS, VERBS
from pytest_llmbench.errors import Category, ExitCode
from pytest_llmbench.metrics import METRICS, Direction, Metric
from pytest_llmbench.observe import log_schema
from pytest_llmbench.option_kinds import Option
from pytest_llmbench.options import BY_NAME, OPTIONS
from pytest_llmbench.profiles import PROFILES
from pytest_llmbench.profiles.demo_form import DEMO
from pytest_llmbench.profiles.ratings import BETTER_BY, mark_for
from pytest_llmbench.reports import json_report
from pytest_llmbench.reports.figures import quantity
from pytest_llmbench.usecases.json_schema import json_schema as usecase_schema

sys.path.insert(0, str(Path(__file__).parent))  # the tests load this file by its path
from generating.chat_page import chat_page
from generating.corruptions_page import corruptions_page
from generating.faults_page import faults_page
from generating.field_texts import field_texts
from generating.gates_page import gates_page
from generating.matrix_rules_page import matrix_rules_page
from generating.prometheus_page import prometheus_page
from generating.reports_page import reports_page
from generating.request_log_page import request_log_page
from generating.rubrics_page import rubrics_page
from generating.tables import schema_sections, table
from generating.template_page import template_page
from generating.traces_page import traces_page
from generating.use_case_page import use_case_page
from generating.validators_page import validators_page

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py; edit the tables in the code. -->\n\n"


def pages() -> dict[str, str]:
    """File name → content, for every generated file."""
    return {
        "options.md": _NOTE + options_page(),
        "configuration.md": _NOTE + configuration_page(),
        "use-case.md": _NOTE + use_case_page(),
        "validators.md": _NOTE + validators_page(),
        "corruptions.md": _NOTE + corruptions_page(),
        "rubrics.md": _NOTE + rubrics_page(),
        "cli.md": _NOTE + cli_page(),
        "metrics.md": _NOTE + metrics_page(),
        "profiles.md": _NOTE + profiles_page(),
        "reports.md": _NOTE + reports_page(),
        "report-template.md": _NOTE + template_page(),
        "gates.md": _NOTE + gates_page(),
        "matrix-rules.md": _NOTE + matrix_rules_page(),
        "exit-codes.md": _NOTE + exit_codes_page(),
        "chat.md": _NOTE + chat_page(),
        "faults.md": _NOTE + faults_page(),
        "prometheus.md": _NOTE + prometheus_page(),
        "request-log.md": _NOTE + request_log_page(),
        "traces.md": _NOTE + traces_page(),
        "llmbench.schema.json": json.dumps(config.json_schema(), indent=2, ensure_ascii=False) + "\n",
        "usecase.schema.json": json.dumps(usecase_schema(), indent=2, ensure_ascii=False) + "\n",
        "request-log.schema.json": json.dumps(log_schema.schema(), indent=2) + "\n",
        "report.schema.json": json.dumps(json_report.schema(), indent=2) + "\n",
    }


def options_page() -> str:
    """Every option under all its names."""
    parts = [
        "# Options\n",
        "Every run-time choice can be made in five places; the first that makes it wins:\n",
        "1. the command line: `pytest --llmbench-rounds=6`, or short under `llmbench run --rounds 6`; what pytest adds",
        "   to it (`addopts`, `PYTEST_ADDOPTS`) counts as typed",
        "2. the environment: `LLMBENCH_ROUNDS=6`",
        '3. pytest\'s own configuration: `llmbench_rounds = "6"` in `pyproject.toml` or `pytest.ini`',
        "4. [`defaults:` of llmbench.yaml](configuration.md): `rounds: 6`",
        "5. the default\n",
        "`llmbench config show` prints each value and where it came from. A relative path given on the command line or",
        "in the environment starts at the current directory; one from a file, at the root directory.\n",
    ]
    return "\n".join([*parts, *map(_option, OPTIONS)])


def _option(option: Option) -> str:
    names = [f"`{option.flag}={option.metavar}`", f"`llmbench run {option.short_flag} {option.metavar}`"]
    names += [] if option.cli_only else [f"`{option.env}`"]
    names += [f"ini `{option.ini}`"] if option.in_project_files else []
    names += [f"`defaults: {option.name}:`"] if option.in_project_files and option.in_yaml else []
    rows = [
        ("names", "<br>".join(names)),
        ("value", option.parse.allowed + (f", in {option.unit}" if option.unit not in {"", "s"} else "")),
        ("default", f"`{option.default_text}`" if option.default_text else "none"),
    ]
    if option.personal:
        rows.append(("not in files", "it names a program, and a project's files may not choose what is executed"))
    return f"## {option.name}\n\n{_sentence(option.help)}\n\n{table(('', ''), rows)}"


def configuration_page() -> str:
    """Every key of llmbench.yaml."""
    intro = (
        "# llmbench.yaml\n\n"
        "Facts about your world: models, servers, limits, words; and `defaults:` for [options](options.md). It is\n"
        "looked for in the root directory of the project; `--llmbench-config` names another. `llmbench config init`\n"
        "writes the example below.\n\n"
        "The file is data. Unknown and duplicate keys are refused, as are tags, anchors and aliases; only `true`, "
        "`false` and\n`null` are special words. Every error names the file, the line, the key and what is allowed.\n\n"
        "The [JSON Schema](llmbench.schema.json) gives editors completion: put\n"
        "`# yaml-language-server: $schema=llmbench.schema.json` on the first line, with the file that\n"
        "`llmbench config schema` prints beside it.\n\n"
    )
    return f"{intro}{schema_sections('The file', config.json_schema())}\n## Example\n\n```yaml\n{example()}```\n"


def cli_page() -> str:
    """Every verb with its arguments."""
    intro = (
        f"# Command line\n\n{DESCRIPTION}\n\n`llmbench --version` prints the version, `llmbench VERB --help` the help "
    )
    intro += (
        "of a verb. `python -m pytest_llmbench` is the\nsame command. Every verb ends with one of the "
        "[exit codes](exit-codes.md); an error is one message on standard error.\n"
        "What is printed is coloured and fitted to its width on a terminal (`…`: a cell was cut), plain and whole\n"
        "when piped.\n\n"
    )
    return intro + "\n".join(map(_verb, VERBS))


def _verb(verb: Verb) -> str:
    usage = " ".join(["llmbench", *verb.words, *(_usage(a) for a in verb.arguments if not a.names[0].startswith("-"))])
    about = [_sentence(verb.help)]
    if verb.words[0] in GROUPS and verb == next(v for v in VERBS if v.words[0] == verb.words[0]):
        about.insert(0, f"`llmbench {verb.words[0]}`: {GROUPS[verb.words[0]]}.")
    rows = [(f"`{_usage(argument)}`", argument.help) for argument in verb.arguments]
    rows += [
        (f"`{BY_NAME[name].short_flag} {BY_NAME[name].metavar}`", f"[option](options.md#{name}): {BY_NAME[name].help}")
        for name in verb.settings
    ]
    shown = table(("argument", ""), rows) if rows else ""
    about += [_MORE[verb.name]] if verb.name in _MORE else []
    return f"## llmbench {verb.name}\n\n" + "\n\n".join(about) + f"\n\n```text\n{usage} [OPTIONS]\n```\n\n{shown}"


_MORE = {
    "report": "The JSON report keeps to [report.schema.json](report.schema.json) and is the lossless one; its format\n"
    "has a version. The CSV has one row per model, quantization and profile, and one per model whose replies were\n"
    "tested, one per use case and model, and one per gate. `-o` makes no folders.",
    "run": "A switch alone (`--offline`) means true; pytest's own long form wants a value: `--llmbench-offline=true`.",
}
"""What the table of verbs has no room for."""


def _usage(argument: Argument) -> str:
    metavar = str(argument.details.get("metavar", ""))
    if not argument.names[0].startswith("-"):
        return {"*": f"[{metavar} ...]", "+": f"{metavar} [{metavar} ...]", "?": f"[{metavar}]"}.get(
            argument.details.get("nargs", ""), metavar
        )
    metavar = metavar or ",".join(argument.details.get("choices", ()))
    return " ".join(filter(None, (", ".join(argument.names), metavar)))


def metrics_page() -> str:
    """The metrics table."""
    rows = [
        (f"`{metric.name}`", metric.title, metric.unit, f"{metric.direction} is better", metric.definition)
        for metric in METRICS.values()
    ]
    intro = (
        "# Metrics\n\n"
        "Times are in seconds. What was not measured is shown as such, never as 0. Why each is defined as it is:\n"
        "[What the metrics mean](../explanation/metrics.md).\n\n"
    )
    outro = (
        "\nA measurement has each as an attribute: `chat.ttft_s.p95`. Its statistics are `p50`, `p95`, `p99`,\n"
        "`median`, `mean`, `min`, `max`, `stdev`, `cv` and the count `n`. Percentiles are nearest-rank: a value that\n"
        "was really measured.\n"
    )
    return intro + table(("metric", "what", "unit", "direction", "definition"), rows) + outro


def profiles_page() -> str:
    """Every profile with its choices, and the marks that measurements are graded by."""
    intro = (
        "# Profiles\n\n"
        'A profile is a way to load a model in order to measure it: `bench(model, profile="batch", documents=60)`.\n'
        "Its choices are the keyword arguments; `demo=True`, or `--llmbench-demo-form` for a whole run, takes the\n"
        "small sizes of the column *demo form*, and what a test chooses itself comes first. How to use them:\n"
        "[Measure a machine](../how-to/measure-a-machine.md).\n\n"
    )
    return intro + "\n".join(map(_profile, PROFILES.values())) + "\n" + _ratings()


def _profile(profile: Profile) -> str:
    module = inspect.getmodule(profile.drive)
    about = (module.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ") if module else ""
    told = field_texts(profile.load)
    rows = [
        (f"`{field.name}`", _default(field), _value(DEMO[profile.name].get(field.name)), told.get(field.name, ""))
        for field in dataclasses.fields(profile.load)
    ]
    rated = ", ".join(f"`{name}`" for name in profile.rated)
    resumed = "" if profile.resumable else " It cannot be gone on with after an interruption: it begins anew."
    shown = table(("choice", "default", "demo form", ""), rows)
    return f"## {profile.name}\n\n{about}\n\nRated by {rated}.{resumed}\n\n{shown}"


def _default(field: dataclasses.Field[Any]) -> str:
    if isinstance(field.default, tuple) and any(isinstance(item, str) for item in field.default):
        return f"{len(field.default)} built in"
    return _value(field.default) if len(str(field.default)) < _LONG else "built in"


_LONG = 60


def _value(value: object) -> str:
    if value is None or value in ("", ()):
        return ""
    return f"`{', '.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def _ratings() -> str:
    rows = [
        (f"`{m.name}`", *_marks(m), f"each {m.marks.each}" if m.marks.each else m.marks.statistic, "; ".join(_bands(m)))
        for m in METRICS.values()
        if m.marks.threshold is not None or m.marks.bands
    ]
    heads = ("metric", "excellent", "good", "acceptable", "failed beyond", "judged", "words")
    return (
        "## Ratings\n\n"
        "The grade follows from a metric's threshold: *excellent* is better than it by half, *good* by a fifth,\n"
        "*acceptable* meets it, *poor* misses it, *failed* lies beyond the unusable mark. Where there is a best\n"
        "thinkable value (1 for a share, a temperature that good cooling keeps) half and a fifth are parts of the way\n"
        "to it. The worst grade is the measurement's; a metric that was not measured is named as such and counts for\n"
        "nothing. `accuracy` is graded for each category of questions by itself. Words describe, they do not judge.\n\n"
        "[`grades:`](configuration.md#grademarks) of llmbench.yaml replaces the marks of a metric,\n"
        "[`ratings:`](configuration.md#ratingstep) its words.\n\n" + table(heads, rows)
    )


def _marks(metric: Metric) -> Iterator[str]:
    if metric.marks.threshold is None or metric.marks.unusable is None:
        yield from ("", "", "", "")
        return
    sign = "≤" if metric.direction is Direction.LOWER else "≥"
    for grade in BETTER_BY:
        yield f"{sign} {quantity(mark_for(grade, metric), metric.unit)}"
    yield quantity(metric.marks.unusable, metric.unit)


def _bands(metric: Metric) -> Iterator[str]:
    sign = "<" if metric.direction is Direction.LOWER else "≥"
    for band in metric.marks.bands:
        limit = f"{sign} {quantity(band.limit, metric.unit)}" if math.isfinite(band.limit) else "else"
        yield f"{limit} {band.word}"


def exit_codes_page() -> str:
    """Exit codes, and the categories of infra errors."""
    codes = [(f"{code.value}", f"`{code.name}`", code.meaning) for code in ExitCode]
    categories = [(f"`{category.value}`", category.meaning) for category in Category]
    return (
        "# Exit codes and error categories\n\n"
        "What the outcomes of tests are, and how they lead here:\n"
        "[Outcomes and exit codes](../explanation/outcomes.md).\n\n"
        "## Exit codes\n\n"
        "0 to 5 are pytest's own; 6 (too many warnings) is passed on where pytest gives it. When no test failed\n"
        "plainly, the first that applies of 12, 11, 10 and 13 is the status.\n\n"
        + table(("code", "name", "meaning"), codes)
        + "\nVerbs other than `run`, `rejudge`, `regate` and `ab` end with 0, 1, 2 "
        "or 4. A reader that closes the pipe early (`| head`) is no error.\n\n"
        "2 is also how pytest ends when a file cannot be collected; a name that no model has, in\n"
        "`@pytest.mark.models(...)`, is such a case, and nothing was run.\n\n"
        "## Categories of infra errors\n\n"
        "An infra error says that the machinery failed, so the model is not to blame. Each carries one category. What\n"
        "to do about those of local servers: [How a local server fails](../explanation/server-failures.md).\n\n"
        + table(("category", "meaning"), categories)
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, content in pages().items():
        (REFERENCE / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
