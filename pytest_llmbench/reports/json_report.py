"""The lossless report: every record of the run, and above it what the other reports show.

Format history:
    1  first.

Keys are only ever added within a format version. A number that is no number (NaN, infinity) is null.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pytest_llmbench import __version__
from pytest_llmbench.records import Run
from pytest_llmbench.reports.asked import AskedRow
from pytest_llmbench.reports.matrix_view import MatrixView
from pytest_llmbench.reports.rows import ModelRow
from pytest_llmbench.reports.verdict import Verdict
from pytest_llmbench.reports.view import InfraGroup, OutcomeCount, RunView, view
from pytest_llmbench.results.costs import Costs, TestCost
from pytest_llmbench.results.judge_use import Judging
from pytest_llmbench.results.recommendations import Advice
from pytest_llmbench.results.use_cases import CaseTable

FORMAT = "pytest-llmbench report"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class JsonReport:
    """The file's top level; times in seconds, speeds in tokens per second, memory in bytes, null is "not measured"."""

    format: str
    format_version: int
    generator: str
    verdict: Verdict
    provenance: tuple[str, ...]
    """Sentences about what comes from another run, or was decided later; mostly none."""
    models: tuple[ModelRow, ...]
    outcomes: tuple[OutcomeCount, ...]
    infra_errors: tuple[InfraGroup, ...]
    retries: int
    """How many attempts were made because one before them had failed."""
    run: Run
    asked: tuple[AskedRow, ...]
    """Tests of replies by model; empty where neither samples nor paid calls are in the run."""
    costs: Costs | None
    """Of the whole run, amounts in US dollars as decimal text; null where nothing has a price."""
    test_costs: tuple[TestCost, ...]
    use_cases: tuple[CaseTable, ...]
    """A table of models for each use case; what was found out of each sample is among the run's results."""
    judging: Judging
    """Judges: held against people, and at work in use cases."""
    matrix: MatrixView | None
    """Configurations side by side, with what was predicted of them; null where there are not two."""
    advice: Advice
    """What to run for which use, and why; empty where there is nothing to choose between."""


def render(run: Run, shown: RunView | None = None) -> str:
    """The JSON report, ASCII only (lone surrogates in model text survive as escapes); a record a line."""
    return "".join(pieces(run, shown))


def pieces(run: Run, shown: RunView | None = None) -> Iterator[str]:
    """As `render`, bit by bit, no text that it holds cut in two: of a long run the whole is large."""
    shown = shown or view(run)
    report = JsonReport(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        generator=f"pytest-llmbench {__version__}",
        verdict=shown.verdict,
        provenance=shown.provenance,
        models=shown.models,
        outcomes=shown.outcomes,
        infra_errors=shown.infra_errors,
        retries=shown.retries,
        run=run,
        asked=shown.asked,
        costs=shown.costs,
        test_costs=shown.test_costs,
        use_cases=shown.use_cases,
        judging=shown.judging,
        matrix=shown.matrix,
        advice=shown.advice,
    )
    yield from _written(report, 1)
    yield "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of the report; every key is always there, and keys may be added."""
    from pydantic import TypeAdapter  # noqa: PLC0415  only the schema's own page and test need it

    generated = TypeAdapter(JsonReport).json_schema(mode="serialization")
    generated["properties"]["format"]["const"] = FORMAT
    generated["properties"]["format_version"]["const"] = FORMAT_VERSION
    _tighten(generated)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pytest-llmbench JSON report",
        **{key: value for key, value in generated.items() if key != "title"},
    }


def _tighten(node: object) -> None:
    if isinstance(node, list):
        for item in node:
            _tighten(item)
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            node["required"] = list(node["properties"])
        for key in {"items", "additionalProperties"} & node.keys():
            if node[key] == {"type": "number"}:
                node[key] = {"type": ["number", "null"]}
        for item in node.values():
            _tighten(item)


def _written(value: Any, depth: int) -> Iterator[str]:
    """A field of the report and of the run a line, and a record a line: json's own indentation is ten times slower."""
    if isinstance(value, JsonReport | Run):
        entries = ((f"{json.dumps(name)}: ", each) for name, each in _fields(value).items())
        yield from _enclosed("{", "}", entries, depth)
    elif isinstance(value, list | tuple) and value:
        yield from _enclosed("[", "]", (("", each) for each in value), depth)
    else:
        yield _compact(value)


def _enclosed(opening: str, closing: str, entries: Iterable[tuple[str, Any]], depth: int) -> Iterator[str]:
    separator = f"{opening}\n"
    for name, value in entries:
        yield f"{separator}{' ' * depth}{name}"
        yield from _written(value, depth + 1)
        separator = ",\n"
    yield f"\n{' ' * (depth - 1)}{closing}"


def _compact(value: Any) -> str:
    try:
        return json.dumps(value, default=_fields, allow_nan=False)
    except ValueError:  # a number that is none
        return json.dumps(_finite(value), default=_fields, allow_nan=False)


def _fields(record: Any) -> dict[str, Any]:
    kind: Any = type(record)
    return {name: getattr(record, name) for name in _names(kind)}


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _finite(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _finite(_fields(value))
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
