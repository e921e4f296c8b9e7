"""What sessions leave for histories, and what stands in JUnit files, ours and pytest's: on real runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from suite_runs import report_folder, stored_run
from usecase_suites import provider, usecase

from pytest_llmbench.cli import main
from pytest_llmbench.demo import Answer
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.reports import junit_report
from pytest_llmbench.store import Store

SCHEMA = Path(__file__).with_name("junit-10.xsd")
BOTH = pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
GATE = "gates: [{{metric: pass_rate, min: {}, by: value}}]"
SPEED = """
    def test_speed(bench):
        assert bench("lab/m", output_tokens=3, prompts=["One.", "Two."]).ttft_s
"""


def half(body: dict[str, object]) -> Answer:
    """Right on every second sample; with what a terminal would obey and XML cannot hold where it is wrong."""
    said = str(body["messages"][-1]["content"])  # type: ignore[index]
    return Answer(said.upper() if not said[-1:].isdigit() or int(said[-1]) % 2 else f"\x00\x1b[31m<b>&{said}\ufffe")


def valid(path: Path) -> etree._Element:
    root = etree.parse(path).getroot()
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(root)
    return root


def properties(root: etree._Element) -> dict[str, str]:
    return {each.get("name"): each.get("value") for each in root.iter("property")}


@BOTH
def test_each_run_is_summed_up_and_from_the_third_on_its_report_has_trends(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    """With workers as without; `llmbench history` tells the same runs."""
    monkeypatch.chdir(pytester.path)
    pytester.makeini("[pytest]\n")
    usecase(pytester.path, 4)
    pages = []
    with provider(pytester.path):
        for _ in range(3):
            assert pytester.runpytest_subprocess("-n", workers, "shout").ret == 0
            pages.append((report_folder(pytester, stored_run(pytester)) / "report.html").read_text())
    assert ['id="trends"' in page for page in pages] == [False, False, True]
    assert "pass rate of lab/m over 3 runs" in pages[2]
    capsys.readouterr()
    for metric in ("pass_rate", "cost_usd", "e2e_s"):
        assert counts(metric, capsys) == [[4, 4, 4]]


def counts(metric: str, capsys: pytest.CaptureFixture[str]) -> list[list[int]]:
    """How many values each point of each series comes from."""
    assert main(["history", metric, "--json"]) == ExitCode.OK
    return [[point["n"] for point in series["points"]] for series in json.loads(capsys.readouterr().out)]


@pytest.mark.slow
def test_measurements_of_several_runs_are_a_series(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another load begins another one."""
    monkeypatch.chdir(pytester.path)
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(SPEED)
    with provider(pytester.path):
        for rounds in (2, 2, 3):
            assert pytester.runpytest_subprocess(f"--llmbench-rounds={rounds}").ret == 0
    capsys.readouterr()
    assert counts("ttft_s", capsys) == [[4, 4], [6]]


@pytest.mark.slow
def test_a_run_that_was_interrupted_is_no_point(pytester: pytest.Pytester) -> None:
    """It has not measured what the others have; resumed to its end it is one."""
    pytester.makepyfile(
        """
        def test_speed(bench):
            assert bench("lab/m", rounds=1, output_tokens=3, prompts=["One."]).ttft_s.n == 1

        def test_stops(request):
            if not request.config.getoption("--llmbench-resume"):
                raise KeyboardInterrupt
        """
    )
    with provider(pytester.path):
        assert pytester.runpytest_subprocess().ret == ExitCode.INTERRUPTED
        assert _points(pytester) == 0
        assert pytester.runpytest_subprocess("--llmbench-resume=last").ret == 0
    assert _points(pytester) == 1


def _points(pytester: pytest.Pytester) -> int:
    with Store.open(pytester.path / ".llmbench" / "results.db") as store:
        return len(store.runs_with("ttft_s"))


@BOTH
def test_our_junit_report_shows_wrong_samples_and_the_gate_that_counts_them(
    pytester: pytest.Pytester, workers: str
) -> None:
    """Valid by the schema; the samples are no failures, the gate is."""
    usecase(pytester.path, 6, GATE.format(0.9))
    with provider(pytester.path, half):
        result = pytester.runpytest_subprocess("-n", workers, "shout", "--llmbench-report=junit,benchmark.json")
    assert result.ret == ExitCode.GATE_FAILED
    folder = report_folder(pytester, stored_run(pytester))
    root = valid(folder / "report.junit.xml")
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    assert suites["shout/USE-CASE.md [lab/m]"].get("failures") == "0"
    outputs = [each.text for each in suites["shout/USE-CASE.md [lab/m]"].iter("system-out")]
    assert sum("outcome: wrong, counted by a gate" in each for each in outputs) == 3
    [failure] = suites[junit_report.GATES].iter("failure")
    assert failure.get("type") == "fail"
    assert properties(root)["llmbench.shout.pass_rate"] == "0.5"
    names = {each["fullname"] for each in json.loads((folder / "report.benchmark.json").read_text())["benchmarks"]}
    assert "shout::e2e_s[lab/m]" in names


@BOTH
def test_pytests_own_junit_file_stays_valid_and_tells_the_gates(pytester: pytest.Pytester, workers: str) -> None:
    """As properties of its suite; a wrong sample that a gate counts has passed there, one without a gate has failed."""
    usecase(pytester.path, 6, GATE.format(0.9))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("lab/m")
        def test_without_a_gate(model):
            assert model.ask("say 2").text == "SAY 2"
        """
    )
    with provider(pytester.path, half):
        result = pytester.runpytest_subprocess("-n", workers, ".", "shout", "--junitxml=junit.xml")
    assert result.ret == ExitCode.TESTS_FAILED
    root = valid(pytester.path / "junit.xml")
    [suite] = root.iter("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "1", "0")
    known = properties(root)
    assert known["llmbench.run"] == stored_run(pytester).id
    told = {known[name]: known[f"{name}.verdict"] for name in known if name.count(".") == 2 and ".gate." in name}
    assert [verdict for rule, verdict in told.items() if "pass_rate >= 90 %" in rule] == ["fail"]


def test_a_session_without_tests_of_ours_adds_nothing_to_a_junit_file(pytester: pytest.Pytester) -> None:
    """Other people's files stay theirs."""
    pytester.makepyfile("def test_plain(): pass")
    assert pytester.runpytest_subprocess("--junitxml=junit.xml").ret == 0
    assert properties(valid(pytester.path / "junit.xml")) == {}
