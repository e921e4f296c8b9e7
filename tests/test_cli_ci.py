"""`llmbench ci`: the verbs over a stored run, in the environment that a runner gives them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ci_runs
import pytest
import report_samples
from github_server import REPOSITORY, GitHubServer, github_server

from pytest_llmbench import reports
from pytest_llmbench.cli import main
from pytest_llmbench.records import Run
from pytest_llmbench.store import Store

TOKEN = "ghs_" + "e5F6" * 9
SHA = "a" * 40
AFTER = {
    "event": "pull_request",
    "head_sha": SHA,
    "head_branch": "fix",
    "head_repository": {"full_name": "ada/quiz", "owner": {"login": "ada"}},
    "html_url": "https://github.example/lab/quiz/actions/runs/5",
}


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as running:
        yield running


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, outside of any workflow."""
    for name in ("STEP_SUMMARY", "OUTPUT", "TOKEN", "EVENT_NAME", "EVENT_PATH", "REPOSITORY", "WORKSPACE", "RUN_ID"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.fixture
def stored(project: Path) -> Run:
    """A run whose gates failed, as a session leaves it; it began at 04:15 of 21 November."""
    run = dataclasses.replace(ci_runs.gated_run(), replies=(), measurements=())
    results = tuple(dataclasses.replace(each, reply_ids=(), measurement_ids=()) for each in run.results)
    run = dataclasses.replace(run, results=results)
    (project / ".llmbench").mkdir()
    with Store.open(project / ".llmbench" / "results.db") as store:
        report_samples.stored(store, run)
        store.save_gates(run.id, run.gates)
    return run


def happened(monkeypatch: pytest.MonkeyPatch, folder: Path, server: GitHubServer, name: str, payload: Any) -> None:
    """The environment of a step."""
    (folder / "event.json").write_text(json.dumps(payload))
    monkeypatch.setenv("GITHUB_EVENT_NAME", name)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(folder / "event.json"))
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("GITHUB_API_URL", server.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)


def pull(home: str = REPOSITORY) -> dict[str, Any]:
    return {"pull_request": {"number": 7, "head": {"sha": SHA, "repo": {"full_name": home}}}}


def test_the_summary_is_added_to_what_the_step_has_said(
    project: Path, stored: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of a workflow it is printed."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    (project / "summary.md").write_text("before\n")
    assert main(["ci", "summary"]) == 0
    assert (project / "summary.md").read_text().startswith("before\n### ❌ llmbench: gate failed")
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert main(["ci", "summary", "--name", "Speed"]) == 0
    assert capsys.readouterr().out.startswith("### ❌ Speed: gate failed")


def test_annotations_are_printed_and_outputs_told(
    project: Path, stored: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later steps learn the run, its verdict, and where its reports are."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(project / "output"))
    assert main(["ci", "annotate"]) == 0
    assert capsys.readouterr().out.startswith("::error title=gate failed%3A ttft_s p50")
    assert (project / "output").read_text().splitlines() == [
        f"run-id={stored.id}",
        "verdict=gate failed",
        f"reports={project / '.llmbench' / 'reports' / stored.id}",
    ]


def test_a_run_of_an_earlier_session_is_not_this_ones(
    stored: Run, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    """`--since` is when the session was started."""
    assert main(["ci", "summary", "--since", "2026-11-21T04:14:59Z"]) == 0
    assert "gate failed" in capsys.readouterr().out
    assert main(["ci", "summary", "--since", "2026-11-21T04:15:01Z"]) == 0
    assert "No run was stored" in capsys.readouterr().out
    assert main(["ci", "annotate", "--since", "2026-11-21T04:15:01Z"]) == 0
    assert capsys.readouterr().out.startswith("::error title=llmbench::no run was stored")
    assert main(["ci", "summary", "--since", "yesterday"]) == 4


def test_nothing_stored_is_a_mistake_of_the_caller_unless_a_session_is_asked_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With `--since` it is what is to be told."""
    assert main(["ci", "comment", "--print"]) == 4
    assert "no runs are stored" in capsys.readouterr().err
    assert main(["ci", "comment", "--print", "--since", "2026-11-21T04:14:59Z"]) == 0
    assert "No run was stored" in capsys.readouterr().out


def test_a_comment_is_written_for_the_events_pull_request(
    project: Path,
    stored: Run,
    server: GitHubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Or for the one that is named; without any, or without a token, it says so."""
    happened(monkeypatch, project, server, "pull_request", pull())
    assert main(["ci", "comment"]) == 0
    assert main(["ci", "comment", "--pull", "9"]) == 0
    assert [len(server.bodies(number)) for number in (7, 9)] == [1, 1]
    assert f"commit {SHA[:12]}" in server.bodies(7)[0]
    happened(monkeypatch, project, server, "push", {})
    capsys.readouterr()
    assert main(["ci", "comment"]) == 0
    assert "nothing to comment on" in capsys.readouterr().out
    monkeypatch.delenv("GITHUB_TOKEN")
    assert main(["ci", "comment"]) == 4
    assert "$GITHUB_TOKEN is not set" in capsys.readouterr().err


def test_a_forks_pull_request_is_not_tried(
    project: Path,
    stored: Run,
    server: GitHubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also without a token; nothing is sent."""
    happened(monkeypatch, project, server, "pull_request", pull("mallory/quiz"))
    monkeypatch.delenv("GITHUB_TOKEN")
    assert main(["ci", "comment"]) == 0
    assert "from a fork" in capsys.readouterr().out
    assert server.asked == []


def test_a_wrong_token_is_an_error(
    project: Path,
    stored: Run,
    server: GitHubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its value is not shown."""
    happened(monkeypatch, project, server, "pull_request", pull())
    monkeypatch.setattr(server, "answer", lambda *_: (401, {"message": f"Bad credentials {TOKEN}"}, {}))
    assert main(["ci", "comment"]) == 1
    told = capsys.readouterr().err
    assert "HTTP 401" in told
    assert TOKEN not in told


def artifact(folder: Path, run: Run) -> Path:
    """What a fork's run has left: a folder with reports, as it is downloaded."""
    reports.write(run, "json", folder / "report.json")
    return folder


def test_a_forks_run_is_told_by_the_run_after_it(
    project: Path, server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pull request is found by the commit; the figures are marked as unchecked; the links are GitHub's."""
    happened(monkeypatch, project, server, "workflow_run", {"workflow_run": AFTER})
    server.pulls = [{"number": 5, "label": "ada:fix", "head": {"sha": SHA}}]
    folder = artifact(project / "artifact", ci_runs.gated_run())
    assert main(["ci", "comment", "--from", str(folder)]) == 0
    [body] = server.bodies(5)
    assert "nobody has checked them" in body
    assert f"({AFTER['html_url']})" in body
    assert "❌&nbsp;fail" in body


def test_a_pull_request_that_went_on_is_left_to_its_later_run(
    project: Path, server: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head is another commit by now."""
    happened(monkeypatch, project, server, "workflow_run", {"workflow_run": AFTER})
    server.pulls = [{"number": 5, "label": "ada:fix", "head": {"sha": "b" * 40}}]
    assert main(["ci", "comment", "--from", str(artifact(project / "artifact", ci_runs.gated_run()))]) == 0
    assert "nothing to comment on" in capsys.readouterr().out
    assert set(server.methods()) == {"GET"}


def test_an_artifact_that_holds_something_else_is_refused(
    project: Path, server: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No report, two of them, a link to a file of the runner: nothing is sent."""
    happened(monkeypatch, project, server, "workflow_run", {"workflow_run": AFTER})
    folder = artifact(project / "artifact", ci_runs.gated_run())
    for name in ("a", "b"):
        artifact(project / "two" / name, ci_runs.gated_run())
    (project / "linked").mkdir()
    (project / "linked" / "report.json").symlink_to(folder / "report.json")
    (project / "other").mkdir()
    (project / "other" / "report.json").write_text('{"run": 3}')
    for name, why in (("two", "holds 2 files"), ("linked", "holds 0 files"), ("other", "cannot be read as a report")):
        assert main(["ci", "comment", "--from", str(project / name)]) == 4
        assert why in capsys.readouterr().err
    assert server.asked == []
