"""The GitHub Action on a sample repository, step by step as a runner takes them, against a stand-in of GitHub's API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from github_server import GitHubServer, github_server
from pull_requests import ACTION, ARTIFACT, BAD, GOOD, PAGE, TOKEN, blessed, commit, llmbench, opened, row


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as GitHub has it."""
    return blessed(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as running:
        yield running


def test_a_good_commit_is_green(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Exit 0, one comment with passed gates before and after, a summary, reports to upload."""
    pull = opened(origin, tmp_path, server, GOOD)
    done = pull.run()
    assert done.code == 0, done.log
    [comment] = server.bodies(7)
    assert comment.startswith("<!-- pytest-llmbench: llmbench -->\n### ✅ llmbench: passed")
    assert row(comment, "10 points")[0] == "✅ pass"
    assert row(comment, "10 points")[3:5] == ["100.0 %", "100.0 %"]
    assert f"[Report]({ARTIFACT})" in comment
    assert f"commit {pull.sha[:12]}" in comment
    assert "The whole report" in done.summary
    assert ARTIFACT in done.summary
    assert "::error" not in done.log
    [(action, given)] = pull.runner.seen
    assert action == "actions/upload-artifact"
    assert given["name"] == "llmbench-report"
    assert sorted(each.name for each in Path(given["path"]).iterdir()) == [
        "report.html",
        "report.json",
        "report.junit.xml",
        "report.md",
    ]
    assert done["Tell the files"].outputs["verdict"] == "passed"


def test_a_bad_commit_is_red_for_the_right_reason(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Exit 10: the rate fell against the baseline; the comment, the summary and the files say which samples."""
    done = opened(origin, tmp_path, server, BAD).run()
    assert done.code == 10, done.log
    assert done["Run"].outputs["exit-code"] == "10"
    [comment] = server.bodies(7)
    assert "### ❌ llmbench: gate failed" in comment
    failed = row(comment, "10 points")
    assert failed[0] == "❌ fail"
    assert failed[3:5] == ["100.0 %", "70.0 %"]
    assert failed[5].startswith("−30 points (95 %: −4")
    assert row(comment, "80 %")[0] == "⚠️ inconclusive"
    assert "points worse than the baseline" in comment
    assert "capital-italy" in comment
    assert "sum-01" not in comment
    assert done.summary.startswith("### ❌ llmbench: gate failed")
    errors = [line for line in done["Tell the files"].output.splitlines() if line.startswith("::error")]
    assert errors[0].startswith(f"::error file={PAGE},line=10,title=gate failed%3A pass_rate at most 10 points")
    assert re.match(
        r"::error file=quiz/data/questions.jsonl,line=29,title=wrong%3A quiz%2C capital-germany::", errors[1]
    )


@pytest.mark.slow
def test_the_comment_is_kept_up_to_date(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """The next commit's run takes the place of the first one's; another name has a comment of its own."""
    pull = opened(origin, tmp_path, server, BAD)
    assert pull.run().code == 10
    pull.change(*reversed(BAD))
    assert pull.run().code == 0
    assert [body.splitlines()[1] for body in server.bodies(7)] == ["### ✅ llmbench: passed"]
    assert pull.run(name="nightly: a/b").code == 0
    assert pull.runner.seen[0][1]["name"] == "nightly--a-b-report"
    assert [body.splitlines()[1] for body in server.bodies(7)] == [
        "### ✅ llmbench: passed",
        "### ✅ nightly: a/b: passed",
    ]


@pytest.mark.slow
def test_a_pull_request_cannot_bless_itself(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Its own baseline is not looked at, unless the workflow says so."""
    pull = opened(origin, tmp_path, server, BAD)
    llmbench(pull.workspace, tmp_path, "run", "--report=none", "--inconclusive=pass", "--baseline=none")
    llmbench(pull.workspace, tmp_path, "baseline", "bless", "--force", "--branch", "main")
    commit(pull.workspace, "Bless the bad one")
    assert pull.run().code == 10
    assert pull.run(baseline="checkout").code == 0


@pytest.mark.slow
def test_a_fork_gets_no_comment_and_no_error(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """The token may only read: the summary has all, nothing is sent, the exit code is the run's."""
    done = opened(origin, tmp_path, server, BAD, home="mallory/quiz").run(fork_arguments="--inconclusive=fail")
    assert done.code == 10, done.log
    assert server.asked == []
    assert "from a fork" in done["Tell the pull request"].output
    assert "gate failed" in done.summary
    assert "::error file=quiz" in done.log


@pytest.mark.slow
def test_a_fork_replays_what_was_recorded(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Recorded replies and no network: what a fork can have without a key."""
    pull = opened(origin, tmp_path, server, GOOD, home="mallory/quiz")
    llmbench(pull.workspace, tmp_path, "run", "--report=none", "--record=replies.jsonl")
    done = pull.run(fork_arguments="--replay=replies.jsonl")
    assert done.code == 0, done.log
    assert "replayed" in done["Run"].output


@pytest.mark.slow
def test_a_token_that_may_not_comment_turns_nothing_red(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """As of a bot's pull request; the step says what is missing."""
    server.may_write = False
    done = opened(origin, tmp_path, server, GOOD).run()
    assert done.code == 0
    assert "pull-requests: write" in done["Tell the pull request"].output


@pytest.mark.slow
def test_a_session_that_never_began_is_told_and_red(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """A wrong option: exit 4; the run of an earlier session is not mistaken for this one's."""
    pull = opened(origin, tmp_path, server, GOOD)
    assert pull.run().code == 0
    done = pull.run(arguments="--rounds=none")
    assert done.code == 4
    [comment] = server.bodies(7)
    assert "No run was stored" in comment
    assert "No run was stored" in done.summary
    assert done["Upload the reports"].code is None


@pytest.mark.slow
def test_what_models_say_gives_the_runner_no_command(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Between the run's first and last line the runner listens to nothing but a word that nobody can guess."""
    done = opened(origin, tmp_path, server, GOOD).run(arguments="-rA\n--co\n-q")
    lines = done["Run"].output.splitlines()
    assert (found := re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0]))
    assert lines[-1] == f"::{found[1]}::"


@pytest.mark.slow
def test_arguments_and_paths_are_words_not_scripts(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """A line is a word, whatever stands in it."""
    evil = 'quiz; touch pwned\n$(touch pwned)\n`touch pwned`\n"; touch pwned; "'
    pull = opened(origin, tmp_path, server, GOOD)
    assert pull.run(paths=evil).code == 4
    assert not list(pull.workspace.rglob("pwned"))


@pytest.mark.slow
def test_the_token_is_only_where_it_is_needed(origin: Path, tmp_path: Path, server: GitHubServer) -> None:
    """Never in the step that runs tests, in no output, in no summary."""
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    given = {step["name"] for step in steps if "inputs.token" in json.dumps(step)}
    assert given == {"Restore the baseline", "Tell the pull request"}
    done = opened(origin, tmp_path, server, GOOD).run()
    assert TOKEN not in done.log + done.summary + "".join(server.bodies(7))
