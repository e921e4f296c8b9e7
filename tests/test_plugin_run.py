"""The main path, end to end: a real model, served, measured, checked, stored, gated, reported."""

from __future__ import annotations

import csv
import json
import sqlite3

import pytest
from suite_runs import declared, outcomes, report_folder, stored_run

from pytest_llmbench.records import ModelFile

pytestmark = pytest.mark.usefixtures("smollm2")

SUITE = """
    import pytest

    MODEL = "smollm2-135m:Q4_1"

    @pytest.fixture(scope="module")
    def chat(llama_server, bench):
        return bench(llama_server(MODEL, context=1024), rounds=2, output_tokens=8, prompts=["One.", "Two.", "Three."])

    def test_speed(chat):
        assert chat.decode_tps.p50 > 0

    def test_first_token(chat):
        assert chat.ttft_s.n == 6

    @pytest.mark.models(MODEL)
    def test_capital(model):
        assert "Paris" in model.ask("What is the capital of France? Answer with one word.", max_tokens=24).text

    @pytest.mark.models(MODEL)
    def test_length(model):
        assert model.ask("Count to one hundred.", max_tokens=5).finish_reason == "length"
"""

OUTCOMES = {"test_speed": "right", "test_first_token": "right", "test_capital": "right", "test_length": "right"}


@pytest.mark.parametrize("workers", ["0", pytest.param("1", marks=pytest.mark.slow), "4"])
def test_the_same_suite_gives_the_same_run_however_it_is_run(pytester: pytest.Pytester, workers: str) -> None:
    """`-n 0`, `-n 1` and `-n 4`: same outcomes, one measurement with every repetition, same gates, same exit code."""
    pytester.makepyfile(test_quick=SUITE)
    pytester.path.joinpath("llmbench.yaml").write_text(
        "thresholds:\n- {metric: decode_tps, min: 0.001}\n- {metric: ttft_s, statistic: p95, max: 0.000001}\n"
    )
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret == 10, result.stdout.str()
    run = stored_run(pytester)
    assert outcomes(run) == OUTCOMES
    assert [(m.model, m.profile, len(m.repetitions)) for m in run.measurements] == [
        ("smollm2-135m:Q4_1", "interactive", 6)
    ]
    assert [gate.verdict for gate in declared(run)] == ["pass", "fail"]
    assert run.exit_code == 10
    assert len([reply for reply in run.replies if reply.text]) >= 2


def test_a_measurement_holds_what_was_measured_and_nothing_made_up(
    pytester: pytest.Pytester, smollm2: ModelFile
) -> None:
    """Fixed output length, no cached prompt, server times beside ours, memory and load time of a real process."""
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-k", "speed").assert_outcomes(passed=1, deselected=3)
    measured = stored_run(pytester).measurements[0]
    assert {r.usage.completion_tokens for r in measured.repetitions} == {8}
    assert {r.timing.server["cache_n"] for r in measured.repetitions} == {0}
    assert len({r.prompt for r in measured.repetitions}) == 6
    assert measured.peak_rss_bytes.p50 > smollm2.size_bytes
    assert measured.load_s.p50 > 0
    assert all(r.metrics["prompt_tps"] > 0 and r.metrics["cpu_s_per_token"] > 0 for r in measured.repetitions)
    assert measured.rating
    assert "api_key" not in measured.server


def test_the_reports_are_written_and_agree_with_the_store(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess()
    run = stored_run(pytester)
    folder = report_folder(pytester, run)
    result.stdout.fnmatch_lines(["*smollm2-135m:Q4_1*", f"*.llmbench/reports/{run.id}/report.html*"])
    told = json.loads((folder / "report.json").read_text())
    assert run.id in json.dumps(told)
    with (folder / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["profile"] for row in rows] == ["interactive", "gate"]
    assert "smollm2-135m" in (folder / "report.html").read_text()


def test_nothing_in_the_files_of_a_run_holds_a_servers_key(pytester: pytest.Pytester) -> None:
    """The random key of each server is in no byte we write."""
    pytester.makepyfile(
        """
        def test_key(llama_server):
            server = llama_server("smollm2-135m:Q4_1", context=512)
            server.ask("Hi", max_tokens=2)
            open("key.txt", "w").write(server.api_key.reveal())
        """
    )
    assert pytester.runpytest_subprocess().ret == 0
    key = (pytester.path / "key.txt").read_bytes()
    assert len(key) >= 16
    written = [path for path in (pytester.path / ".llmbench").rglob("*") if path.is_file()]
    assert len(written) >= 4
    assert [path.name for path in written if key in path.read_bytes()] == []


def test_a_wrong_answer_fails_its_test_and_is_stored_with_its_message(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("smollm2-135m:Q4_1")
        def test_it(model):
            assert model.ask("Say hi.", max_tokens=4).text == "never this"
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 1
    stored = stored_run(pytester).results[0]
    assert stored.outcome == "wrong"
    assert "never this" in stored.message


def test_an_unknown_model_name_offers_near_ones_before_anything_starts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("smolm2-135m:Q4_1")
        def test_it(model):
            model.ask("Hi")
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*smolm2-135m:Q4_1*", "*smollm2-135m:Q4_1*"])
    assert not (pytester.path / ".llmbench" / "results.db").exists()


def test_model_without_a_marker_says_what_is_missing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(model): model.ask('Hi')")
    result = pytester.runpytest_subprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*@pytest.mark.models(*"])


def test_a_skipped_test_is_stored_with_its_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.exclusive
        def test_it():
            pytest.skip("not on this machine")
        """
    )
    assert pytester.runpytest_subprocess().ret == 0
    stored = stored_run(pytester).results[0]
    assert (stored.outcome, stored.message) == ("skipped", "Skipped: not on this machine")


@pytest.mark.slow
def test_an_infra_error_is_no_test_failure_and_has_an_exit_code_of_its_own(pytester: pytest.Pytester) -> None:
    """A model that cannot be reached: exit 11 above the allowed rate, 0 below it, never 1."""
    pytester.path.joinpath("llmbench.yaml").write_text("servers:\n  gone: {url: 'http://127.0.0.1:9'}\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("gone/any")
        def test_it(model):
            assert model.ask("Hi").text
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 11
    result.stdout.fnmatch_lines(["*network.refused*"])
    stored = stored_run(pytester).results[0]
    assert (stored.outcome, stored.category) == ("infra_error", "network.refused")
    assert pytester.runpytest_subprocess("--llmbench-max-error-rate=1").ret == 0


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_collection_error_ends_the_run_alike_with_and_without_xdist(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makepyfile(test_good=SUITE, test_bad="import a_module_that_is_not_there")
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret == 2
    assert not (pytester.path / ".llmbench" / "results.db").exists()


def test_two_measurements_of_one_test_are_two(pytester: pytest.Pytester) -> None:
    """A test may compare before and after; only shared fixtures are measured once."""
    pytester.makepyfile(
        """
        def test_it(llama_server, bench):
            server = llama_server("smollm2-135m:Q4_1", context=512)
            first, second = (bench(server, rounds=1, output_tokens=4, prompts=["Hi."]) for _ in range(2))
            assert first.id != second.id
        """
    )
    assert pytester.runpytest_subprocess().ret == 0
    assert len(stored_run(pytester).measurements) == 2


def test_bench_asked_for_behind_pytests_back_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(request, llama_server):
            request.getfixturevalue("bench")(llama_server("smollm2-135m:Q4_1", context=512))
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*pytest.mark.exclusive*"])


def test_prompts_are_left_out_of_the_store_where_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("smollm2-135m:Q4_1")
        def test_it(model):
            assert model.ask("A very private question", max_tokens=4).text
        """
    )
    assert pytester.runpytest_subprocess("--llmbench-keep-prompts=false").ret == 0
    database = pytester.path / ".llmbench" / "results.db"
    with sqlite3.connect(database) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "very private" not in dump
    assert len(stored_run(pytester).replies) == 1
