"""Speed as pytest-benchmark's JSON: its own command and github-action-benchmark read it."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_text
import pytest
import report_profiles
import report_runs
import report_use_cases
from pytest_benchmark.stats import Stats

from pytest_llmbench import reports
from pytest_llmbench.records import Run
from pytest_llmbench.reports import benchmark_json


def made(run: Run) -> dict[str, Any]:
    return json.loads(benchmark_json.render(run))  # type: ignore[no-any-return]


def slower(run: Run, factor: float) -> Run:
    """The same measurement, with every time to the first token longer."""
    measured = run.measurements[0]
    repetitions = tuple(
        dataclasses.replace(each, metrics={**each.metrics, "ttft_s": each.metrics["ttft_s"] * factor})
        for each in measured.repetitions
    )
    return dataclasses.replace(run, measurements=(dataclasses.replace(measured, repetitions=repetitions),))


def test_pytest_benchmark_compares_two_of_our_runs(tmp_path: Path) -> None:
    """`pytest-benchmark compare` prints both runs of each time, with the ratio."""
    run = report_runs.passed_run()
    files = [
        reports.write(slower(run, factor), "benchmark.json", tmp_path / f"000{number}_run.json")
        for number, factor in ((1, 1.0), (2, 1.5))
    ]
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *map(str, files), "--group-by=fullname"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    [table] = [part for part in done.stdout.split("\n\n") if "interactive::ttft_s[smollm2-135m:Q4_1]" in part]
    assert "0001_run" in table
    assert "(1.50)" in table


def test_the_failing_limit_of_pytest_benchmark_sees_a_slowdown(tmp_path: Path) -> None:
    """What its readers go by: `stats.median` of the two differs by the factor."""
    run = report_runs.passed_run()
    quick, slow = (
        next(each for each in made(one)["benchmarks"] if each["name"].startswith("ttft_s"))
        for one in (run, slower(run, 1.5))
    )
    assert slow["stats"]["median"] / quick["stats"]["median"] == pytest.approx(1.5)


def test_github_action_benchmark_finds_its_fields() -> None:
    """It takes `fullname`, `stats.mean`, `stats.stddev`, `stats.rounds` and `stats.ops` of each benchmark."""
    whole = made(report_runs.mixed_run())
    assert whole["benchmarks"]
    for each in whole["benchmarks"]:
        stats = each["stats"]
        assert each["fullname"]
        assert stats["ops"] == pytest.approx(1 / stats["mean"])
        assert stats["rounds"] >= 1
        assert stats["stddev"] >= 0
    assert whole["commit_info"]["id"] == "45756ff0c1d2e3f4"
    assert whole["commit_info"]["dirty"] is True
    assert whole["machine_info"]["processor"] == "AMD EPYC 7B13"
    names = [each["fullname"] for each in whole["benchmarks"]]
    assert len(set(names)) == len(names)


def test_the_statistics_are_those_of_pytest_benchmark() -> None:
    """Field by field; quartiles are interpolated otherwise, and lie beside each other."""
    stats = Stats()
    measured = report_runs.passed_run().measurements[0].ttft_s.values
    for value in measured:
        stats.update(value)
    [ours] = [each["stats"] for each in made(report_runs.passed_run())["benchmarks"] if "ttft_s[" in each["name"]]
    assert {*Stats.fields, "data", "iterations"} == set(ours)
    for name in ("min", "max", "mean", "stddev", "rounds", "median", "ops", "total", "stddev_outliers"):
        assert ours[name] == pytest.approx(getattr(stats, name)), name
    assert ours["q1"] == pytest.approx(stats.q1, rel=0.1)
    assert ours["data"] == list(measured)


def test_times_of_a_use_cases_calls_are_benchmarks_too() -> None:
    """Each model's, of its own calls."""
    run = report_use_cases.triage_run(20)
    names = {each["fullname"] for each in made(run)["benchmarks"]}
    use_case = next(result.evaluation.use_case for result in run.results if result.evaluation)
    assert {f"{use_case}::e2e_s[{model}]" for model in report_use_cases.MODELS} <= names


def test_one_model_measured_in_two_ways_has_two_names() -> None:
    """With the hash of the way; values of the same way stand together."""
    run = report_runs.passed_run()
    other = dataclasses.replace(run.measurements[0], id="m2", settings={"rounds": 8})
    again = dataclasses.replace(run.measurements[0], id="m3")
    found = [
        each
        for each in made(dataclasses.replace(run, measurements=(*run.measurements, other, again)))["benchmarks"]
        if each["name"].startswith("ttft_s")
    ]
    assert sorted(each["stats"]["rounds"] for each in found) == [20, 40]
    assert len({each["fullname"] for each in found}) == 2


@pytest.mark.parametrize(
    "run",
    [report_runs.empty_run(), hostile_text.hostile_run(), report_profiles.profiles_run()],
    ids=["empty", "hostile", "profiles"],
)
def test_every_run_makes_a_file_that_can_be_read(run: Run) -> None:
    """Strict JSON, in ASCII; without times there is no benchmark in it."""
    text = benchmark_json.render(run)
    assert text.isascii()
    assert all(statistics.fmean(each["stats"]["data"]) >= 0 for each in json.loads(text)["benchmarks"])
