"""Mixed sessions: our outcomes and exit codes beside everything else that pytest and its plugins do."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from suite_runs import declared, gates, outcomes, stored_run

from pytest_llmbench.demo import Answer, DemoProvider, Failure

OURS = """
    import pytest
    from pytest_llmbench.errors import Category, InfraError

    pytestmark = pytest.mark.exclusive

    def broken():
        raise InfraError("the lab is closed", category=Category.OVERLOADED)
"""
BOTH = pytest.mark.parametrize("workers", ["0", "2"])


@BOTH
def test_a_plain_failure_elsewhere_keeps_its_exit_code(pytester: pytest.Pytester, workers: str) -> None:
    """The failing test is none of ours, and runs before the first that is."""
    pytester.makepyfile(
        test_a="def test_plain(): assert 0", test_b=OURS + "\n    def test_ours(): pass\n    def test_infra(): broken()"
    )
    assert pytester.runpytest_subprocess("-n", workers).ret == 1


@BOTH
def test_a_test_under_way_counts_for_its_model(pytester: pytest.Pytester, workers: str) -> None:
    """For whoever looks on: metrics with a filter of models show it."""
    pytester.makepyfile(
        """
        from contextlib import closing
        from pathlib import Path
        from time import monotonic, sleep
        import pytest
        from pytest_llmbench.observe.families import TESTS
        from pytest_llmbench.observe.watching import Onlooker, Watched

        @pytest.mark.models("demo/echo")
        def test_looks_at_itself(model, request):
            until = monotonic() + 20  # a worker begins before the controller has noted it
            with closing(Onlooker(Watched(Path(request.config.rootpath, ".llmbench", "results.db")))) as onlooker:
                while not (seen := onlooker.look().figures.numbers.get(TESTS)) and monotonic() < until:
                    sleep(0.05)
            assert dict(seen) == {("demo/echo", "unfinished"): 1}
        """
    )
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret == 0, result.stdout.str()


def test_failures_that_other_plugins_count_keep_their_exit_code(pytester: pytest.Pytester) -> None:
    """A collection error that was to be continued over is a failure too."""
    pytester.makepyfile(test_a="import not_there_at_all", test_b=OURS + "\n    def test_ours(): pass")
    assert pytester.runpytest_subprocess("--continue-on-collection-errors").ret == 1


@BOTH
def test_only_infra_errors_are_no_failure(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makepyfile(OURS + "\n    def test_ours(): pass\n    def test_infra(): broken()")
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret == 11
    result.stdout.fnmatch_lines(["*the lab is closed*"])
    assert outcomes(stored_run(pytester)) == {"test_ours": "right", "test_infra": "infra_error"}


@BOTH
@pytest.mark.parametrize(("body", "code"), [("assert 0", 1), ("broken()", 11)])
def test_stopping_at_the_first_failure_is_alike(pytester: pytest.Pytester, workers: str, body: str, code: int) -> None:
    pytester.makepyfile(OURS + f"\n    def test_first(): {body}\n    def test_second(): pass")
    assert pytester.runpytest_subprocess("-x", "-n", workers).ret == code


@BOTH
def test_a_wrong_name_in_the_only_file_of_ours_ends_the_run_alike(pytester: pytest.Pytester, workers: str) -> None:
    pytester.makepyfile(
        test_a="def test_plain(): pass",
        test_b="""
            import pytest

            @pytest.mark.models("smolm2-135m:Q4_1")
            def test_it(model): pass
        """,
    )
    assert pytester.runpytest_subprocess("-n", workers, "--max-worker-restart=1").ret == 2


@BOTH
def test_a_bad_environment_variable_is_a_usage_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("LLMBENCH_ROUNDS", "abc")
    pytester.makepyfile(OURS + "\n    def test_ours(): pass")
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*LLMBENCH_ROUNDS*whole number*"])


@BOTH
def test_results_that_cannot_be_kept_are_a_usage_error(pytester: pytest.Pytester, workers: str) -> None:
    pytester.path.joinpath(".llmbench").write_text("in the way")
    pytester.makepyfile(OURS + "\n    def test_ours(): open('ran', 'w').close()")
    assert pytester.runpytest_subprocess("-n", workers, "--max-worker-restart=1").ret == 4
    assert not (pytester.path / "ran").exists()


def test_a_skipped_test_asks_for_nothing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a model that is not there nor the machine."""
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(pytester.path / "empty"))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.skip(reason="not today")
        @pytest.mark.models("smollm2-135m:Q4_1")
        def test_it(model): pass

        @pytest.mark.models()
        def test_none(model): pass
        """
    )
    result = pytester.runpytest_subprocess("--llmbench-offline=true")
    assert result.ret == 0
    assert set(outcomes(stored_run(pytester)).values()) == {"skipped"}


@pytest.mark.parametrize("flag", ["--setup-plan", "--collect-only"])
def test_a_session_that_only_plans_writes_nothing(pytester: pytest.Pytester, flag: str) -> None:
    pytester.makepyfile(
        OURS
        + """
    @pytest.mark.models("smollm2-135m:Q4_1")
    def test_it(model, bench): pass
    """
    )
    assert pytester.runpytest_subprocess(flag).ret == 0
    assert not (pytester.path / ".llmbench").exists()


def test_pytests_failures_without_an_exception_are_not_right(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        OURS
        + """
    @pytest.mark.xfail(strict=True)
    def test_passes_unexpectedly(): pass

    @pytest.mark.xfail(reason="known weakness")
    def test_fails_as_expected(): assert 0

    def test_parts(subtests):
        with subtests.test("one"):
            assert 0
    """
    )
    assert pytester.runpytest_subprocess().ret == 1
    run = stored_run(pytester)
    assert outcomes(run) == {
        "test_passes_unexpectedly": "wrong",
        "test_fails_as_expected": "skipped",
        "test_parts": "wrong",
    }
    assert {r.message for r in run.results if r.outcome == "skipped"} == {"known weakness"}


def test_a_teardown_does_not_hide_what_the_test_itself_found(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        OURS
        + """
    @pytest.fixture
    def breaks_later():
        yield
        broken()

    def test_wrong(breaks_later): assert 0

    def test_right(breaks_later): pass
    """
    )
    assert pytester.runpytest_subprocess().ret == 1
    assert outcomes(stored_run(pytester)) == {"test_wrong": "wrong", "test_right": "infra_error"}


def test_a_worker_that_dies_in_a_teardown_is_an_infra_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        OURS
        + """
    @pytest.fixture
    def dies():
        yield
        import os
        os._exit(3)

    def test_dies(dies): pass

    def test_other(): pass
    """
    )
    assert pytester.runpytest_subprocess("-n", "2").ret == 11
    run = stored_run(pytester)
    assert outcomes(run) == {"test_dies": "infra_error", "test_other": "right"}
    assert any(r.message.endswith("died (exit code 3)") for r in run.results)


def test_a_worker_that_dies_before_its_test_begins_is_an_infra_error(pytester: pytest.Pytester) -> None:
    """Only workers know which tests are ours: they say so before the first one begins."""
    pytester.makeconftest(
        """
        import os, signal

        def pytest_runtest_protocol(item):
            if item.name == "test_dies":
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    pytester.makepyfile(OURS + "\n    def test_dies(): pass\n    def test_other(): pass")
    assert pytester.runpytest_subprocess("-n", "2").ret == 11
    assert outcomes(stored_run(pytester)) == {"test_dies": "infra_error", "test_other": "right"}


def test_tests_that_never_began_leave_nothing(pytester: pytest.Pytester) -> None:
    """What workers said they would do is forgotten where the session ends before."""
    pytester.makepyfile(OURS + "\n    @pytest.mark.parametrize('n', range(30))\n    def test_it(n): assert n")
    assert pytester.runpytest_subprocess("-n", "2", "-x").ret == 1
    with closing(sqlite3.connect(pytester.path / ".llmbench" / "results.db")) as plain:
        (told,) = plain.execute("SELECT count(*) FROM results WHERE outcome IS NULL").fetchone()
    assert told == 0
    assert len(stored_run(pytester).results) < 30


def test_a_server_asked_for_behind_pytests_back_is_refused(pytester: pytest.Pytester) -> None:
    """Nobody would hold the machine for it, and nobody would book its replies."""
    pytester.makepyfile(
        """
        def test_it(request):
            request.getfixturevalue("llama_server")("x.gguf").ask("Hi")
        """
    )
    assert pytester.runpytest_subprocess().ret == 1


def test_a_run_under_xdist_tells_the_command_that_was_typed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OURS + "\n    def test_ours(): pass")
    pytester.runpytest_subprocess("-n", "2")
    assert stored_run(pytester).environment["command"][-2:] == ["-n", "2"]


def test_results_are_kept_out_of_the_projects_history(pytester: pytest.Pytester) -> None:
    """A clean repository stays clean, and is told to be."""
    pytester.makepyfile(OURS + "\n    def test_ours(): pass")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        assert pytester.run("git", *command).ret == 0
    for _ in range(2):
        assert pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").ret == 0
    assert ".llmbench" not in pytester.run("git", "status", "--porcelain").stdout.str()


LAB = """
    import pytest

    @pytest.mark.models("lab/m", "lab/m")
    def test_ask(model):
        assert "hello" in model.ask("hello, quite privately").text

    @pytest.mark.models("lab/m")
    def test_bench(model, bench):
        bench(model, rounds=1, prompts=["One privately.", "Two."], output_tokens=OUT)
"""


def lab(pytester: pytest.Pytester, url: str, tokens: int = 4) -> None:
    pytester.makepyfile(test_lab=LAB.replace("OUT", str(tokens)))
    pytester.path.joinpath("llmbench.yaml").write_text(
        f"servers: {{lab: {{url: '{url}'}}}}\nthresholds: [{{metric: ttft_s, max: 60}}]\n"
    )


def test_a_run_without_prompts_holds_none_and_can_be_resumed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not kept is asked again, never taken for an empty answer."""
    monkeypatch.setenv("LLMBENCH_KEEP_PROMPTS", "false")
    with DemoProvider(Answer("hello there")) as provider:
        lab(pytester, provider.url)
        assert pytester.runpytest_subprocess().ret == 0
        assert pytester.runpytest_subprocess("--llmbench-resume", "last").ret == 0
    written = [path for path in (pytester.path / ".llmbench").rglob("*") if path.is_file()]
    assert [path.name for path in written if b"privately" in path.read_bytes()] == []


def test_on_resume_an_outdated_measurement_neither_gates_nor_shows_and_the_reason_is_told(
    pytester: pytest.Pytester,
) -> None:
    with DemoProvider(Answer("hello there")) as provider:
        lab(pytester, provider.url, tokens=4)
        assert pytester.runpytest_subprocess().ret == 0
        lab(pytester, provider.url, tokens=5)
        assert pytester.runpytest_subprocess("--llmbench-resume", "last").ret == 0
    run = stored_run(pytester)
    assert len(run.measurements) == 2
    (now,) = run.current().measurements
    assert now.settings["output_tokens"] == 5
    assert any("output_tokens: 4 → 5" in note for note in now.notes)
    assert len(declared(run)) == 1


def test_a_measurement_that_broke_off_passes_no_gate(pytester: pytest.Pytester) -> None:
    calls = iter(range(100))

    def fails_at_the_third(_body: object) -> Answer | Failure:
        return Failure(500, "out of order") if next(calls) >= 2 else Answer("hello there")

    with DemoProvider(fails_at_the_third) as provider:
        lab(pytester, provider.url)
        pytester.runpytest_subprocess("-k", "bench", "--llmbench-max-error-rate=1")
    assert [gate.verdict for gate in gates(pytester)] == ["inconclusive"]


def test_a_model_named_twice_is_tested_once(pytester: pytest.Pytester) -> None:
    with DemoProvider(Answer("hello there")) as provider:
        lab(pytester, provider.url)
        pytester.runpytest_subprocess("-k", "ask").assert_outcomes(passed=1, deselected=1)


def test_a_list_in_the_marker_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models(["smollm2-135m:Q4_1"])
        def test_it(model): pass
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*takes names, one after the other*"])
