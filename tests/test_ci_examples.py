"""The examples of continuous integration in the manual, run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from github_server import GitHubServer, github_server
from pull_requests import BAD, ROOT, TOKEN, PullRequest, blessed, opened, row

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as GitHub has it."""
    return blessed(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as running:
        yield running


def blocks(page: str, language: str) -> list[str]:
    """The examples of a page in the manual."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def in_bash(pull: PullRequest, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A script in the checkout; the sample repository has one suite, which needs no name."""
    script = script.replace("llmbench run suites", "llmbench run")
    kept = {name: value for name, value in pull.environ.items() if not name.startswith("GITHUB_")}
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        words, cwd=pull.workspace, env={**kept, **more}, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_second_workflow_of_the_manual_comments_on_a_fork(
    origin: Path, tmp_path: Path, server: GitHubServer
) -> None:
    """What the fork's run left behind becomes the comment; the workflow itself is taken from the page."""
    pull = opened(origin, tmp_path, server, BAD, home="mallory/quiz")
    done = pull.run()
    shutil.copytree(done["Tell the files"].outputs["reports"], tmp_path / "temp" / "llmbench-report")
    [page] = [block for block in blocks("gate-in-github-actions.md", "yaml") if "workflow_run:" in block]
    job = yaml.safe_load(page)["jobs"]["comment"]
    other = {
        "event": "pull_request",
        "head_sha": pull.sha,
        "head_branch": "main",
        "head_repository": {"full_name": "mallory/quiz", "owner": {"login": "mallory"}},
        "html_url": "https://github.example/lab/quiz/actions/runs/5",
    }
    (tmp_path / "event.json").write_text(json.dumps({"workflow_run": other}))
    server.pulls = [{"number": 12, "label": "mallory:main", "head": {"sha": pull.sha}}]
    told = {name: value for name, value in pull.environ.items() if name.startswith("GITHUB_")}
    told |= {"GITHUB_EVENT_NAME": "workflow_run", "GITHUB_TOKEN": TOKEN, "RUNNER_TEMP": str(tmp_path / "temp")}
    sent = in_bash(pull, job["steps"][-1]["run"], **told)
    assert sent.returncode == 0, sent.stderr
    [comment] = server.bodies(12)
    assert "nobody has checked" in comment
    assert row(comment, "10 points")[0] == "❌ fail"


def test_the_example_for_gitlab_runs(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Its scripts, without what installs and fetches: exit 10, a note, JUnit where the job looks for it."""
    pull = opened(origin, tmp_path, server, BAD)
    [page] = blocks("gate-in-other-ci.md", "yaml")
    job = yaml.safe_load(page)["llmbench"]
    before = [line for line in job["before_script"] if not line.startswith(("pip ", "llmbench models"))]
    merge = {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    done = in_bash(pull, "\n".join([*before, *job["script"]]), **merge)
    assert done.returncode == 10, done.stdout + done.stderr
    assert in_bash(pull, "\n".join(job["after_script"]), **merge).returncode == 0
    assert row((pull.workspace / "note.md").read_text(), "10 points")[0] == "❌ fail"
    assert len(list(pull.workspace.glob(job["artifacts"]["reports"]["junit"]))) == 1


def test_the_example_for_any_shell_runs(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """It ends as the run did, and leaves both files."""
    pull = opened(origin, tmp_path, server, BAD)
    [script] = blocks("gate-in-other-ci.md", "bash")
    done = in_bash(pull, script)
    assert done.returncode == 10, done.stderr
    assert done.stdout.endswith("a gate failed: see summary.md\n")
    assert "gate failed" in (pull.workspace / "summary.md").read_text()
    assert (pull.workspace / "report.html").stat().st_size > 10_000
