"""What a run looks like to a reader, before any format."""

from __future__ import annotations

import dataclasses
import math

import pytest
import report_profiles
import report_runs

from pytest_llmbench.records import Outcome, Repetition, Table
from pytest_llmbench.reports import figures
from pytest_llmbench.reports.findings import Lines
from pytest_llmbench.reports.plots import over_time, table_charts
from pytest_llmbench.reports.replies import reply_groups
from pytest_llmbench.reports.view import view


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0, "0 s"), (0.0381, "38.1 ms"), (0.9996, "1.00 s"), (12.34, "12.3 s"), (125.3, "2 min 05 s")],
)
def test_a_time_is_shown_in_the_unit_that_reads_best(seconds: float | None, shown: str) -> None:
    """Three digits; what was not measured is a dash, never 0."""
    assert figures.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(None, "–"), (0, "0 B"), (231 * 2**20, "231 MiB"), (7.8 * 2**30, "7.8 GiB")]
)
def test_memory_is_shown_in_binary_units(count: float | None, shown: str) -> None:
    """MiB up to a GiB, then GiB with one digit."""
    assert figures.size(count) == shown


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "–"), (9.999, "10.0"), (7.412, "7.41"), (12345.6, "12346")])
def test_a_speed_has_three_digits(value: float, shown: str) -> None:
    """Rounded first, so that 9.999 does not become 10.00."""
    assert figures.speed(value) == shown


def test_a_row_reads_model_quantization_and_origin_off_the_name() -> None:
    """`name:QUANT (requantized from X)` is taken apart; a foreign server's colon is part of its name."""
    _, requantized, external = view(report_runs.mixed_run()).models
    assert (requantized.model, requantized.quant, requantized.requantized_from) == (
        "qwen2.5-coder-1.5b-instruct",
        "Q8_0",
        "Q4_K_M",
    )
    assert (external.model, external.quant) == ("lab/llama-3.2:3b", "")


def test_what_was_not_measured_is_none_and_not_zero() -> None:
    """An external server has no load time and no memory; nothing stands in for them."""
    external = view(report_runs.mixed_run()).models[2]
    assert (external.load_s, external.peak_rss_bytes, external.prompt_tps_p50) == (None, None, None)
    assert external.ttft_n == 8


def test_a_number_that_is_none_counts_as_not_measured() -> None:
    """NaN in a stored repetition reaches no report."""
    run = report_runs.passed_run()
    broken = dataclasses.replace(
        run.measurements[0], repetitions=(Repetition(0, 0, "p", {"ttft_s": math.nan, "decode_tps": math.inf}),)
    )
    shown = view(dataclasses.replace(run, measurements=(broken,)))
    assert (shown.models[0].ttft_p50_s, shown.models[0].decode_tps_p50) == (None, None)
    assert shown.charts[0].ttft_s == ()


def test_every_outcome_is_counted_by_itself() -> None:
    """Infra errors have a count and a category of their own, and are no wrong answers."""
    shown = view(report_runs.mixed_run())
    assert {count.words: count.count for count in shown.outcomes} == {
        "right": 3,
        "wrong": 1,
        "test error": 1,
        "infra error": 2,
        "skipped": 1,
    }
    assert [group.category for group in shown.infra_errors] == ["timeout.ttft", "local.server_crash"]


def test_what_needs_an_eye_comes_first() -> None:
    """Errors and wrong answers stand above what is right, skipped tests last."""
    outcomes = [test.outcome for test in view(report_runs.mixed_run()).tests]
    assert outcomes[:2] == [Outcome.TEST_ERROR, Outcome.WRONG]
    assert outcomes[-1] == Outcome.SKIPPED


@pytest.mark.parametrize(
    ("exit_code", "word", "level"),
    [
        (0, "passed with remarks", "warn"),
        (10, "gate failed", "bad"),
        (13, "gate inconclusive", "warn"),
        (77, "exit code 77", "bad"),
    ],
)
def test_the_verdict_says_in_words_what_the_exit_code_stands_for(exit_code: int, word: str, level: str) -> None:
    """A green run with something wrong in it says so."""
    verdict = view(dataclasses.replace(report_runs.mixed_run(), exit_code=exit_code)).verdict
    assert (verdict.word, verdict.level) == (word, level)
    assert verdict.sentence == (
        "3 of 7 tests were right, 1 skipped. Of 3 gates, 1 passed, 1 failed, 1 could not be decided."
    )


def test_a_killed_run_is_called_unfinished() -> None:
    """No exit code: it was killed, or is still going on."""
    assert view(report_runs.empty_run()).verdict.word == "unfinished"


def test_each_reply_is_shown_once_under_who_asked() -> None:
    """A test's reply with its prompt from the stored request, a measurement's with the repetition's prompt."""
    run = report_runs.passed_run()
    test, measured = reply_groups(run, run.results)
    assert (test.kind, [turn.text for turn in test.replies[0].turns]) == ("test", ["What is the capital of France?"])
    assert (measured.kind, len(measured.replies)) == ("measurement", 20)
    assert measured.replies[0].turns[0].text.endswith("why the sky is blue.")


def test_the_same_model_measured_twice_has_two_names_in_a_chart() -> None:
    """Two lanes, numbered, instead of one with both values."""
    run = report_runs.passed_run()
    names = [series.name for series in view(dataclasses.replace(run, measurements=run.measurements * 2)).charts]
    assert names == ["smollm2-135m:Q4_1 · interactive #1", "smollm2-135m:Q4_1 · interactive #2"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.875, "share", "87.5 %"),
        (32_768, "tokens", "32,768 tokens"),
        (71.34, "°C", "71.3 °C"),
        (412.3, "1/h", "412/h"),
        (0.768, "1/s", "0.768/s"),
        (2.45e9, "Hz", "2.45 GHz"),
        (3.0, "", "3"),
        (1.31, "", "1.31"),
        (None, "share", "–"),
        (float("nan"), "°C", "–"),
    ],
)
def test_a_quantity_is_shown_in_the_unit_that_reads_best(value: float | None, unit: str, shown: str) -> None:
    assert figures.quantity(value, unit) == shown


@pytest.mark.parametrize(
    ("column", "unit", "head", "cell"),
    [
        ("decode", "tok/s", "decode, tok/s", "251"),
        ("prompt tok/s", "tok/s", "prompt tok/s", "251"),
        ("context_tokens", "tokens", "context tokens", "251"),
        ("took", "s", "took", "4 min 11 s"),
        ("documents per hour", "1/h", "documents per hour", "251"),
    ],
)
def test_a_columns_unit_stands_in_its_head_or_in_its_cells(column: str, unit: str, head: str, cell: str) -> None:
    """In the cells where it depends on the value, and never twice."""
    assert (figures.head(column, unit), figures.cell(251.0, unit)) == (head, cell)


def test_a_measurement_tells_its_grades_its_machine_and_what_was_disturbed() -> None:
    """Grades by metric, the monitor summed up, what it could not read, and what was taken again or is disturbed."""
    row = view(report_profiles.profiles_run()).models[3]
    assert [(g.metric, g.grade, g.words) for g in row.grades] == [
        ("context_load_s", "good", "delay"),
        ("largest_context", "", "letters"),
        ("memory_share", "excellent", "light"),
    ]
    assert [table.name for table in row.tables] == ["long_context_sizes"]
    assert (row.repetitions, row.taken_again, row.disturbed) == (12, 1, 1)
    reading = {reading.name: reading for reading in row.readings}["cpu_foreign_share"]
    assert (reading.n, reading.min, reading.median, reading.max) == (30, 0.02, 0.02, 0.61)
    assert ("temperature", "no sensor under /sys/class/hwmon") in [(f.name, f.value) for f in row.unavailable]
    assert row.client_error.startswith("client error ±0.4 ms on TTFT")
    assert row.client_ttft_error_s == 0.0004


def test_a_measurement_without_a_monitor_has_no_readings_and_no_pictures() -> None:
    shown = view(report_runs.passed_run())
    assert (shown.models[0].readings, shown.models[0].client_error, shown.charts[0].pictures) == ((), "", ())


def test_a_table_with_too_few_cells_is_filled_up_with_what_was_not_measured() -> None:
    """A row of an older version, or of a profile of one's own."""
    ragged = Table("t", "T", ("a", "b", "c"), ("s",), ((1.0,), (1.0, 2.0, 3.0, 4.0)))
    run = report_runs.passed_run()
    measured = dataclasses.replace(run.measurements[0], tables=(ragged,))
    (table,) = view(dataclasses.replace(run, measurements=(measured,))).models[0].tables
    assert (table.units, table.rows) == (("s", "", ""), ((1.0, None, None), (1.0, 2.0, 3.0)))


def test_a_chart_that_asks_for_what_is_not_there_is_left_out() -> None:
    """Unknown kinds and columns, and columns without numbers."""
    table = report_profiles.LONG_CONTEXT
    for chart in (
        {},
        {"kind": "pie"},
        {"kind": "line", "x": "nope", "y": ["memory"]},
        {"kind": "line", "x": "context"},
    ):
        assert table_charts(dataclasses.replace(table, chart=chart)) == ()
    nothing = {"kind": "line", "x": "context", "y": ["class", "nope"]}
    assert table_charts(dataclasses.replace(table, chart=nothing)) == ()


def test_a_peak_survives_the_thinning_of_a_long_line() -> None:
    """Half an hour at one sample a second, and one second of somebody else."""
    points = tuple((float(second), 0.9 if second == 1234 else 0.01) for second in range(1800))
    values = over_time(Lines("Load", "share", {"others": points}))["data"]["values"]
    assert len(values) <= 240
    assert max(value["y"] for value in values) == pytest.approx(90)
