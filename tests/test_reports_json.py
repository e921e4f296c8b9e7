"""The JSON report and its published schema."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import hostile_text
import jsonschema
import pytest
import report_profiles
import report_runs

from pytest_llmbench.records import Measurement, Run
from pytest_llmbench.reports import json_report

PUBLISHED = Path(__file__).parents[1] / "docs" / "reference" / "report.schema.json"


def _valid(run: Run) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(json_report.render(run))
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(report)
    return report


def test_the_published_schema_is_what_the_code_says() -> None:
    """Write `json.dumps(json_report.schema(), indent=2)` and a line end to docs/reference/report.schema.json."""
    assert PUBLISHED.read_text() == json.dumps(json_report.schema(), indent=2) + "\n"
    jsonschema.Draft202012Validator.check_schema(json_report.schema())


@pytest.mark.parametrize(
    "run",
    [report_runs.passed_run(), report_profiles.profiles_run(), report_runs.empty_run(), hostile_text.hostile_run()],
    ids=["passed", "profiles", "empty", "hostile"],
)
def test_every_report_keeps_to_the_schema(run: Run) -> None:
    """Names and versions its format, and says how the run ended."""
    report = _valid(run)
    assert (report["format"], report["format_version"]) == ("pytest-llmbench report", 1)
    assert report["run"]["exit_code"] == run.exit_code


def test_the_schema_refuses_a_report_without_a_key() -> None:
    """Every key is required: a reader need not ask whether it is there."""
    report = json.loads(json_report.render(report_runs.passed_run()))
    del report["models"][0]["ttft_p95_s"]
    with pytest.raises(jsonschema.ValidationError, match="ttft_p95_s"):
        jsonschema.Draft202012Validator(json_report.schema()).validate(report)


def test_nothing_is_lost_on_the_way() -> None:
    """The records come back equal, lone surrogates and control characters included."""
    run = hostile_text.hostile_run()
    read = json.loads(json_report.render(run))["run"]
    assert [Measurement.from_dict(m) for m in read["measurements"]] == list(run.measurements)
    assert read == run.as_dict()


def test_a_number_that_is_none_becomes_null() -> None:
    """NaN and infinity are no JSON; a server may well have told them."""
    run = report_runs.passed_run()
    timing = dataclasses.replace(
        run.replies[0].timing, ttft_s=math.inf, gaps_s=(math.nan,), server={"prompt_ms": math.inf}
    )
    report = _valid(dataclasses.replace(run, replies=(dataclasses.replace(run.replies[0], timing=timing),)))
    read = report["run"]["replies"][0]["timing"]
    assert (read["ttft_s"], read["gaps_s"], read["server"]) == (None, [None], {"prompt_ms": None})
