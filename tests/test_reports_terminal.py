"""The summary at the end of a session."""

from __future__ import annotations

import dataclasses
import unicodedata

import hostile_text
import pytest
import report_profiles
import report_runs

from pytest_llmbench.records import Run
from pytest_llmbench.reports import terminal
from pytest_llmbench.reports.cells import cell_width, clipped, wrapped
from pytest_llmbench.reports.terminal_tables import is_over_time, table_lines

PATH = f".llmbench/reports/{report_runs.RUN_ID}/report.html"


def _texts(run: Run, width: int = 80) -> list[str]:
    lines = terminal.summary(run, width=width, report_path=PATH)
    return ["".join(text for text, _ in line) for line in lines]


def test_the_summary_of_the_quickstart_reads_like_this() -> None:
    """The host, a table, the gate, the counts, the verdict and the path: a newcomer's first minute."""
    assert _texts(report_runs.passed_run()) == [
        "host    AMD EPYC 7B13 · 2 cores (4 threads) · 7.8 GiB memory ·",
        "        container: 2 CPUs · no GPU seen · Linux 6.1.0 (Debian GNU/Linux 12)",
        "",
        "             load  TTFT p50      p95    n  prompt tok/s  decode tok/s   peak mem",
        "smollm2-135m:Q4_1 · interactive                                        excellent",
        "           410 ms   45.7 ms  56.9 ms   20           894           145    244 MiB",
        "  An answer starts after 0.05 s, 0.06 s at worst 1 time in 20 (n = 20), then",
        "  runs at 143 tokens/s, 27× faster than one reads.",
        "",
        "gates   ✓ decode_tps p50 >= 5 tok/s   143.1 tok/s, n = 20",
        "",
        "tests   3 right",
        f"run     passed   {report_runs.RUN_ID}",
        f"report  {PATH}",
    ]


@pytest.mark.parametrize("width", [72, 80, 100, 132])
@pytest.mark.parametrize(
    "run",
    [report_runs.passed_run(), report_profiles.profiles_run(), report_runs.empty_run(), hostile_text.hostile_run()],
    ids=["passed", "profiles", "empty", "hostile"],
)
def test_no_line_is_wider_than_the_terminal_or_steers_it(run: Run, width: int) -> None:
    """Counted in cells, with wide letters; no control character, whatever a model wrote."""
    for line in _texts(run, width):
        assert cell_width(line) <= width, line
        assert not [char for char in line if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}]
        assert "\u202e" not in line


def test_a_profile_tells_what_its_grade_comes_from_and_shows_its_table() -> None:
    """Each metric with value, word and grade; what was not measured is named; all that a person reads at 80 columns."""
    lines = _texts(report_profiles.profiles_run())
    start = lines.index("smollm2-135m:Q4_1 · long_context                                            good")
    assert lines[start + 3 : start + 12] == [
        "  rated   context load 23.8 s, delay (good) ·",
        "          largest context 4,096 tokens, letters ·",
        "          memory used 5.0 %, light (excellent)",
        "",
        "  Prompt speed and memory by context size",
        "  context,           time to        prompt        decode",
        "  tokens         first token  speed, tok/s  speed, tok/s   memory  largest gap",
        "  1,024               4.10 s           251           118  296 MiB      12.0 ms",
        "  2,048               9.40 s           218           104  329 MiB      14.0 ms",
    ]
    assert "temperature not measured" in "\n".join(lines)


def test_a_long_table_shows_its_first_rows_and_counts_the_rest() -> None:
    text = "\n".join(table_lines(report_profiles.BATCH, 78))
    assert "… 71 more rows are in the report" in text
    assert len(text.splitlines()) == 1 + 9 + 1


def test_what_goes_on_over_time_is_left_to_the_report() -> None:
    """Rows of seconds and megabytes tell nobody anything; the reader is told where the picture is."""
    going_on = dataclasses.replace(
        report_profiles.BATCH, units=("s", "s", "tokens"), chart={"kind": "line", "x": "document", "y": ["took"]}
    )
    assert (is_over_time(going_on), is_over_time(report_profiles.BATCH)) == (True, False)
    run = report_profiles.profiles_run()
    only = dataclasses.replace(run.measurements[0], tables=(going_on,))
    text = "\n".join(_texts(dataclasses.replace(run, measurements=(only,))))
    assert "Every document" not in text
    assert "1 more table is in the report" in text


def test_a_wide_table_keeps_the_columns_that_are_drawn() -> None:
    """At 40 cells: the first column and those of the chart; what finds no room is left out whole."""
    lines = list(table_lines(report_profiles.LONG_CONTEXT, 40))
    assert all(cell_width(line) <= 40 for line in lines)
    assert lines[-4].split() == ["1,024", "4.10", "s", "251"]


def test_every_style_has_a_markup() -> None:
    """The caller can look up each style; unknown outcomes included."""
    runs = (report_runs.mixed_run(), report_runs.empty_run(), hostile_text.hostile_run())
    styles = {style for run in runs for line in terminal.summary(run) for _, style in line}
    assert styles <= terminal.MARKUP.keys()
    assert {"good bold", "bad bold", "dim", "bold"} <= styles


def test_gates_show_their_verdict_as_a_mark_and_their_reason() -> None:
    """✓, ✗ and ?, each with why, and with the model where several were measured."""
    text = "\n".join(_texts(report_runs.mixed_run()))
    assert "✓ decode_tps p50 >= 5 tok/s" in text
    assert "✗ decode_tps p50 >= 10 tok/s\n          7.412 tok/s, n = 20 · qwen2.5-coder" in text
    assert "? prompt_tps p50 >= 100 tok/s\n          prompt_tps was not measured · lab/llama-3.2:3b" in text


def test_a_dash_is_explained_where_something_was_not_measured() -> None:
    """And only there."""
    assert "  – not measured" in _texts(report_runs.mixed_run())
    assert "  – not measured" not in _texts(report_runs.passed_run())


def test_requests_under_which_a_server_died_are_told() -> None:
    """They are no results, and yet a reader has to know that a server crashed; it was not asked again."""
    told = "retries none; 1 attempt failed (1 × local.server_crash)"
    assert any(line.startswith(told) for line in _texts(report_runs.mixed_run()))
    assert not any(line.startswith("retries") for line in _texts(report_runs.passed_run()))


def test_infra_errors_are_listed_by_category() -> None:
    """Each kind with its count and where it happened."""
    text = "\n".join(_texts(report_runs.mixed_run()))
    assert "3 right · 1 wrong · 1 test error · 2 infra errors · 1 skipped" in text
    assert "1 × local.server_crash: suites/chat/test_chat.py::test_tools" in text


def test_a_report_path_is_never_broken() -> None:
    """A path in two pieces is of no use; it may be wider than the terminal."""
    path = "a/" * 60 + "report.html"
    last = terminal.summary(report_runs.passed_run(), report_path=path)[-1]
    assert last[-1] == (path, "")


def test_a_long_name_loses_its_middle() -> None:
    """Names differ at their ends: family and quantization stay."""
    short = clipped("qwen2.5-coder-1.5b-instruct-with-a-long-tail:Q4_K_M", 24)
    assert cell_width(short) <= 24
    assert short.startswith("qwen2.5")
    assert short.endswith("Q4_K_M")


def test_wide_letters_take_two_cells_when_wrapping() -> None:
    """Ten cells hold five of them."""
    assert list(wrapped("漢字" * 6, 10)) == ["漢字漢字漢", "字漢字漢字", "漢字"]
