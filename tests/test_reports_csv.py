"""The CSV report."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter

import hostile_text
import report_profiles
import report_runs
import report_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.display import display_safe
from pytest_llmbench.records import Run
from pytest_llmbench.reports import csv_report

_TRIGGERS = tuple("=+-@\t\r\n＝＋－＠")
_NUMBERS = {
    *csv_report.COLUMNS[csv_report.COLUMNS.index("tests") :],
    "exit_code",
    "failed_attempts",
    "physical_cores",
    *(name for name in csv_report.COLUMNS if name.endswith(("_s", "_bytes", "_n", "per_token"))),
}


def _rows(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_report.render(run), newline="")))


def test_there_is_one_row_per_model_quantization_and_profile() -> None:
    """Numbers unrounded, in the units that the column names say."""
    first, second, third, *gates = _rows(report_runs.mixed_run())
    assert (first["model"], first["quant"], first["profile"]) == ("smollm2-135m", "Q4_1", "interactive")
    assert float(first["ttft_p50_s"]) == report_runs.mixed_run().measurements[0].series("ttft_s").p50
    assert second["requantized_from"] == "Q4_K_M"
    assert third["model"] == "lab/llama-3.2:3b"
    assert [row["failed_attempts"] for row in (first, second, third)] == ["1", "0", "0"]
    assert {(row["profile"], row["failed_attempts"]) for row in gates} == {("gate", "")}


def test_a_gate_has_a_row_with_its_verdict_and_its_numbers() -> None:
    """In columns of their own; the model's stands beside them."""
    run = report_runs.mixed_run()
    rows = [row for row in _rows(run) if row["profile"] == "gate"]
    assert [(row["gate"], row["gate_verdict"], row["model"]) for row in rows] == [
        (gate.gate, gate.verdict, gate.model) for gate in run.gates
    ]
    assert [row["gate_value"] for row in rows] == ["" if gate.value is None else str(gate.value) for gate in run.gates]


def test_failed_attempts_are_those_of_the_row() -> None:
    """Of a model all of its own."""
    run = report_samples.samples_run(300)
    counted = {row["model"]: int(row["failed_attempts"]) for row in _rows(run) if row["profile"] == "tests"}
    known = Counter(attempt.model for attempt in run.failed_attempts)
    assert counted == {model: known[model] for model in report_samples.MODELS}
    assert set(known) < set(counted)


def test_what_was_not_measured_is_an_empty_cell() -> None:
    """Never 0, and no word that a spreadsheet could not average over."""
    third = _rows(report_runs.mixed_run())[2]
    assert (third["load_s"], third["prompt_p50_tokens_per_s"], third["peak_rss_bytes"]) == ("", "", "")


def test_a_profiles_figures_have_columns_of_their_own_at_the_end() -> None:
    """What another profile measures is empty; grades are one text."""
    rows = {row["profile"]: row for row in _rows(report_profiles.profiles_run())}
    assert float(rows["long_context"]["context_load_s"]) == 23.8
    assert rows["long_context"]["documents_per_hour"] == ""
    assert rows["batch"]["grades"] == "documents_per_hour: excellent; temperature_c: not graded"
    assert (rows["batch"]["taken_again"], rows["batch"]["disturbed"]) == ("1", "1")
    assert csv_report.COLUMNS.index("disturbed") == 42


def test_a_run_without_measurements_has_a_header_only() -> None:
    """The columns are there for whoever joins files."""
    assert csv_report.render(report_runs.empty_run()).splitlines() == [",".join(csv_report.COLUMNS)]


def test_no_text_of_a_hostile_run_is_a_formula() -> None:
    """Names, sentences and versions with formulas and escape sequences in them."""
    rows = _rows(hostile_text.hostile_run())
    assert rows
    for row in rows:
        for name in csv_report.COLUMNS:
            assert name in _NUMBERS or not row[name].lstrip(" ").startswith(_TRIGGERS), (name, row[name])


@settings(deadline=None)
@given(text=st.text() | st.sampled_from([f"{trigger}1+1" for trigger in _TRIGGERS]))
def test_a_text_cell_never_begins_a_formula_and_loses_nothing(text: str) -> None:
    """An apostrophe in front is all that is added; what is behind it is the text as it may be shown."""
    run = report_runs.passed_run()
    measured = dataclasses.replace(run.measurements[0], sentence=text)
    cell = _rows(dataclasses.replace(run, measurements=(measured,)))[0]["sentence"]
    assert not cell.lstrip(" ").startswith(_TRIGGERS)
    assert cell in (shown := display_safe(text, keep="\n\t\r"), f"'{shown}")
