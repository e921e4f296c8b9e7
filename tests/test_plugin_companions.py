"""Other plugins and pytest's own selections beside ours: same results, same gates, same exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from suite_runs import declared, gates, outcomes, stored_run

from pytest_llmbench.demo import Answer, ChatBody, DemoProvider, Failure

SUITE = """
    import pathlib
    import pytest

    MODEL = "lab/m"

    @pytest.fixture(scope="module")
    def chat(bench):
        return bench(MODEL, rounds=2, output_tokens=3, prompts=["One.", "Two."])

    def test_plain():
        assert True

    def test_speed(chat):
        assert chat.decode_tps.n == 4

    @pytest.mark.models(MODEL)
    def test_right(model):
        assert "Paris" in model.ask("Which capital?").text

    @pytest.mark.models(MODEL)
    def test_wrong(model):
        assert "Rome" in model.ask("Which capital?").text

    @pytest.mark.models(MODEL)
    def test_infra(model):
        model.ask("Break, please.")

    @pytest.mark.models(MODEL)
    def test_flaky(model):
        tried = pathlib.Path("tried")
        first = not tried.exists()
        tried.touch()
        assert "Paris" in model.ask("Which capital?").text and not first

    @pytest.mark.models(MODEL)
    @pytest.mark.xfail(reason="known")
    def test_known(model):
        assert "Rome" in model.ask("Which capital?").text

    @pytest.mark.models(MODEL)
    @pytest.mark.skip(reason="not today")
    def test_skipped(model):
        raise AssertionError
"""

OUTCOMES = {
    "test_speed": "right",
    "test_right": "right",
    "test_wrong": "wrong",
    "test_infra": "infra_error",
    "test_flaky": "wrong",
    "test_known": "skipped",
    "test_skipped": "skipped",
}
REPLIES = 4 + 4
"""Of the repetitions, and of the tests that were answered."""

BOTH = pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.slow), "2"])

RANDOM, RERUNS = "pytest-randomly", "pytest-rerunfailures"


@pytest.fixture(scope="session")
def companions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plugins that this environment must not have: they take part in every run that sees them."""
    folder = tmp_path_factory.mktemp("companions")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(folder), RANDOM, RERUNS], check=True, stderr=subprocess.DEVNULL)
    return folder


@pytest.fixture
def suite(pytester: pytest.Pytester, companions: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """The suite, its scripted server, and the plugins in reach."""

    def react(body: ChatBody) -> Answer | Failure:
        return Failure(500) if "Break" in body["messages"][-1]["content"] else Answer("Paris, of course.", itl_s=0.005)

    monkeypatch.setenv("PYTHONPATH", str(companions))
    pytester.makepyfile(test_all=SUITE)
    with DemoProvider(react) as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(
            f"servers:\n  lab: {{url: '{provider.url}'}}\ngates:\n- {{metric: decode_tps, min: 0.001, by: value}}\n"
        )
        yield pytester


def run(suite: pytest.Pytester, *arguments: str, shuffled: bool = False, reruns: bool = False) -> pytest.RunResult:
    off = [] if shuffled else ["-p", "no:randomly"]
    off += [] if reruns else ["-p", "no:rerunfailures"]
    return suite.runpytest_subprocess(*off, *arguments)


@pytest.mark.parametrize(
    ("companion", "workers"),
    [
        ("none", "0"),
        pytest.param("randomly", "2", marks=pytest.mark.slow),
        pytest.param("timeout-thread", "0", marks=pytest.mark.slow),
        pytest.param("cov", "2", marks=pytest.mark.slow),
        pytest.param("randomly", "0", marks=pytest.mark.slow),
        pytest.param("timeout-signal", "2", marks=pytest.mark.slow),
        pytest.param("cov", "0", marks=pytest.mark.slow),
    ],
)
def test_companions_change_nothing(suite: pytest.Pytester, companion: str, workers: str) -> None:
    """Shuffled, timed or traced, serial or in parallel: the same results, gates and exit code."""
    flags = {
        "timeout-signal": ["--timeout=60"],
        "timeout-thread": ["--timeout=60", "--timeout-method=thread"],
        "cov": ["--cov=."],
    }
    result = run(suite, "-n", workers, *flags.get(companion, []), shuffled=companion == "randomly")
    assert result.ret == 1, result.stdout.str()
    stored = stored_run(suite)
    assert outcomes(stored) == OUTCOMES
    assert [(m.model, len(m.repetitions)) for m in stored.measurements] == [("lab/m", 4)]
    assert [gate.verdict for gate in declared(stored)] == ["pass"]
    assert len(stored.replies) == REPLIES
    assert stored.exit_code == 1


@pytest.mark.slow
@BOTH
def test_a_rerun_replaces_what_it_repeats(suite: pytest.Pytester, workers: str) -> None:
    """With `--reruns` the last try is the result; an infra error that came twice is counted once."""
    result = run(suite, "-n", workers, "--reruns=1", reruns=True)
    assert result.ret == 1, result.stdout.str()
    assert outcomes(stored_run(suite)) == OUTCOMES | {"test_flaky": "right"}
    result.stdout.fnmatch_lines(["* 1 failed, 4 passed, 1 skipped, 1 xfailed, 3 rerun, 1 infra error in *"])


@pytest.mark.slow
def test_last_failed_runs_what_failed_and_what_broke(suite: pytest.Pytester) -> None:
    """An infra error is asked again by `--lf`, like a failure."""
    run(suite)
    assert run(suite, "-n", "2", "--lf").ret == 1
    assert outcomes(stored_run(suite)) == {"test_wrong": "wrong", "test_infra": "infra_error", "test_flaky": "right"}


@pytest.mark.slow
@BOTH
def test_stopping_early_leaves_the_rest_unasked(suite: pytest.Pytester, workers: str) -> None:
    """`-x` ends as a failure; what had finished is stored with its true outcome."""
    assert run(suite, "-n", workers, "-x").ret == 1
    stored = outcomes(stored_run(suite))
    assert stored["test_wrong"] == "wrong"
    assert len(stored) < len(OUTCOMES)
    begun_late = {"test_infra", "test_flaky", "test_known"}  # a worker may have been on one of these
    assert all(OUTCOMES[name] == outcome for name, outcome in stored.items() if name not in begun_late)


@pytest.mark.slow
@BOTH
def test_maxfail_counts_as_pytest_does(suite: pytest.Pytester, workers: str) -> None:
    """The second failure ends the run; the exit code is that of failed tests."""
    assert run(suite, "-n", workers, "--maxfail=2").ret == 1
    assert [gate.verdict for gate in gates(suite)] == ["pass"]


def test_a_selection_stores_what_was_selected(suite: pytest.Pytester) -> None:
    """`-k`: the rest neither runs nor shows."""
    assert run(suite, "-n", "2", "-k", "right").ret == 0
    assert outcomes(stored_run(suite)) == {"test_right": "right"}
