"""`llmbench regate`: the gates as they are now over a stored run, without a call and without a change to it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from suite_runs import stored_run
from usecase_suites import asked, provider, usecase

from pytest_llmbench.cli import main
from pytest_llmbench.cli.verbs import parser
from pytest_llmbench.demo import Answer

GATE = "gates: [{{metric: pass_rate, min: {}}}]"


def half(body: dict[str, object]) -> Answer:
    """Right on every second sample."""
    said = str(body["messages"][-1]["content"])  # type: ignore[index]
    return Answer(said.upper() if int(said[-2:]) % 2 else said)


@pytest.fixture
def ran(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a run whose gate passed; its provider is gone, so that a call would be an error."""
    monkeypatch.chdir(pytester.path)
    pytester.makeini("[pytest]\n")
    usecase(pytester.path, 40, GATE.format(0.3), input=lambda n: f"say {n:02}", expected=lambda n: f"SAY {n:02}")
    with provider(pytester.path, half) as lab:
        assert pytester.runpytest_subprocess("shout").ret == 0
        assert len(asked(lab)) == 40
    return stored_run(pytester).id


def regated_page(pytester: pytest.Pytester, front: str) -> None:
    usecase(pytester.path, 40, front)


def test_a_gate_that_became_stricter_fails_the_stored_run(
    pytester: pytest.Pytester, ran: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 10 with the gate's reason; the stored run keeps what it decided; the same rules have the same hash."""
    before = stored_run(pytester)
    assert main(["regate", "last"]) == 0
    regated_page(pytester, GATE.format(0.9))
    capsys.readouterr()
    assert main(["regate", ran]) == 10
    first = capsys.readouterr().out
    assert main(["regate", ran[:-2]]) == 10
    assert all(each in first for each in ("pass_rate >= 90 %", "gate failed", "had ended with exit code 0"))
    rules = [" ".join(text.split()).partition("by rules ")[2][:16] for text in (first, capsys.readouterr().out)]
    assert rules[0] == rules[1]
    assert len(rules[0]) == 16
    assert stored_run(pytester) == before


def test_other_gates_give_the_exit_code_that_the_run_would_have(pytester: pytest.Pytester, ran: str) -> None:
    """Too close to call passes, or is 13 where that is wanted; without gates the wrong samples fail it; rules of
    llmbench.yaml count as well."""
    regated_page(pytester, GATE.format(0.55))
    assert main(["regate", "last"]) == 0
    assert main(["regate", "last", "--inconclusive", "fail"]) == 13
    regated_page(pytester, "")
    assert main(["regate", "last"]) == 1
    regated_page(pytester, GATE.format(0.1))
    with pytester.path.joinpath("llmbench.yaml").open("a") as config:
        config.write("thresholds: [{metric: pass_rate, profile: shout, max: 0.2}]\n")
    assert main(["regate", "last"]) == 10


def test_gates_of_a_page_that_is_gone_are_named_and_not_decided(
    pytester: pytest.Pytester, ran: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are inconclusive, with what they were, and never silently green."""
    shutil.rmtree(pytester.path / "shout")
    assert main(["regate", ran]) == 13
    told = capsys.readouterr()
    assert all(each in told.err for each in ("shout/USE-CASE.md cannot be read any more", "pass_rate >= 30 %"))
    assert "inconclusive" in told.out


def test_a_report_of_the_new_decision_says_so(pytester: pytest.Pytester, ran: str, tmp_path: Path) -> None:
    """Reports beside the run's own, or in a file; they tell when, by which rules, and what the run had decided."""
    regated_page(pytester, GATE.format(0.9))
    folder = pytester.path / ".llmbench" / "reports" / ran
    before = (folder / "report.json").read_bytes()
    assert main(["regate", ran, "--report", "json,html,md"]) == 10
    report = json.loads((folder / "regated.json").read_text())
    assert report["verdict"]["word"] == "gate failed"
    assert report["run"]["environment"]["regated"]["exit_code_before"] == 0
    told = f"by rules {report['run']['environment']['regated']['rules']}"
    assert told in report["provenance"][0]
    assert all(told in (folder / f"regated.{each}").read_text() for each in ("html", "md"))
    assert (folder / "report.json").read_bytes() == before
    assert main(["regate", ran, "-o", str(tmp_path / "x.html")]) == 10
    assert "gate failed" in (tmp_path / "x.html").read_text()


def test_paths_and_names_that_are_not_there_are_told(
    pytester: pytest.Pytester, ran: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what lies in the paths is decided; a run or a path that is not there is an error with what there is."""
    assert main(["regate", ran, "shout"]) == 0
    assert main(["regate", ran, "elsewhere"]) == 4
    assert main(["regate", f"{ran[:-1]}x"]) == 4
    assert main(["regate", ran, "--report", "html,json", "-o", "x"]) == 4
    told = capsys.readouterr().err
    said = ("holds no test in elsewhere", "shout/USE-CASE.md", f"near ones: {ran}", "-o names one file")
    assert [each for each in said if each not in told] == []


def test_rejudge_wants_a_run_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The verb's help has the run and the options of `run`; without a run it says what to type."""
    assert main(["rejudge"]) == 4
    assert main(["rejudge", "--judge", "lab/k"]) == 4
    assert "`llmbench rejudge last`" in capsys.readouterr().err
    assert parser().parse_args(["rejudge", "last", "suites", "--judge", "lab/k"]).llmbench_judge == "lab/k"


def test_rejudge_is_pytest_on_the_replies_of_a_run(
    pytester: pytest.Pytester, ran: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked: the provider is gone. What the page's gates are now decides."""
    usecase(pytester.path, 40, GATE.format(0.9), input=lambda n: f"say {n:02}", expected=lambda n: f"SAY {n:02}")
    result = pytester.run(sys.executable, "-m", "pytest_llmbench", "rejudge", ran, "shout", "--report", "none")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["origin*40 replies of models under test come from run*"])
