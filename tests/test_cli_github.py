"""The sticky comment over GitHub's API: found, written, written again; limits, faults and others' comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github_server import BOT, REPOSITORY, Fault, GitHubServer, github_server

from pytest_llmbench import clock
from pytest_llmbench.cli.ci_event import Event, event
from pytest_llmbench.cli.github import LONGEST_WAIT_S, GitHub, RefusedError
from pytest_llmbench.errors import UsageError, WireError
from pytest_llmbench.secret import Secret

MARKER = "<!-- pytest-llmbench: quiz -->"
BODY = f"{MARKER}\nall well"
TOKEN = "ghs_" + "a1B2" * 9


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as running:
        yield running


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(clock, "sleep", found.append)
    return found


def api(server: GitHubServer) -> GitHub:
    return GitHub(server.url, REPOSITORY, Secret(TOKEN))


def test_the_first_comment_is_created_and_the_second_takes_its_place(server: GitHubServer) -> None:
    """One comment, however often the job runs; the token goes in a header."""
    assert api(server).keep_comment(7, MARKER, BODY, BOT).startswith("created https://")
    assert api(server).keep_comment(7, MARKER, f"{MARKER}\nworse", BOT).startswith("updated https://")
    assert server.bodies(7) == [f"{MARKER}\nworse"]
    assert server.methods() == ["GET", "POST", "GET", "PATCH"]
    assert {headers["authorization"] for _, _, headers in server.asked} == {f"Bearer {TOKEN}"}


def test_our_comment_is_found_behind_hundreds_of_others(server: GitHubServer) -> None:
    """All pages are looked through."""
    for number in range(250):
        server.add(7, f"remark {number}", author="ada")
    ours = server.add(7, BODY)
    for number in range(80):
        server.add(7, f"later {number}", author="ada")
    assert "updated" in api(server).keep_comment(7, MARKER, f"{MARKER}\nnew", BOT)
    assert server.asked[-1][:2] == ("PATCH", f"/repos/{REPOSITORY}/issues/comments/{ours}")
    assert len(server.bodies(7)) == 331


def test_an_exact_hundred_comments_end_without_an_endless_search(server: GitHubServer) -> None:
    """A full last page is followed by an empty one."""
    for number in range(100):
        server.add(7, f"remark {number}", author="ada")
    assert "created" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert server.methods() == ["GET", "GET", "POST"]


def test_each_name_has_its_own_comment(server: GitHubServer) -> None:
    """Jobs of different names do not write over one another."""
    api(server).keep_comment(7, "<!-- pytest-llmbench: speed -->", "<!-- pytest-llmbench: speed -->\nfast", BOT)
    api(server).keep_comment(7, MARKER, BODY, BOT)
    assert server.bodies(7) == ["<!-- pytest-llmbench: speed -->\nfast", BODY]


def test_a_strangers_comment_with_our_marker_is_left_alone(server: GitHubServer) -> None:
    """Whoever wrote it could change afterwards what we said in it."""
    server.add(7, f"{MARKER}\nall well, merge it", author="mallory")
    server.add(7, f"quoting: {MARKER}")
    assert "created" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert server.bodies(7)[0] == f"{MARKER}\nall well, merge it"
    assert len(server.bodies(7)) == 3


def test_servers_that_fail_are_asked_again(server: GitHubServer, waited: list[float]) -> None:
    """5xx: with growing waits."""
    server.faults += [Fault(502), Fault(500), Fault(503, headers={"retry-after": "7"})]
    assert "created" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert waited == [1.0, 2.0, 7.0]


def test_an_answer_that_was_lost_makes_no_second_comment(server: GitHubServer, waited: list[float]) -> None:
    """The gateway failed after the comment was made: it is found, and written again in its place."""
    server.faults.append(Fault(502, is_done=True, only="POST"))
    assert "updated" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert server.bodies(7) == [BODY]
    assert len(waited) == 1


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        (Fault(403, "You have exceeded a secondary rate limit", {"retry-after": "30"}), 30.0),
        (Fault(429, "slow down", {"retry-after": "3"}), 3.0),
        (Fault(403, "You have exceeded a secondary rate limit"), 60.0),
        (Fault(429, "slow down"), 60.0),
    ],
)
def test_limits_on_the_rate_are_waited_out(
    server: GitHubServer, waited: list[float], fault: Fault, wait_s: float
) -> None:
    """As long as `Retry-After` tells, else a minute as GitHub's manual asks."""
    server.faults.append(fault)
    assert "created" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert waited == [wait_s]


def test_the_primary_limit_is_waited_out_until_its_reset(
    server: GitHubServer, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`x-ratelimit-reset` is a moment, not a duration."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    reset = str(int(now.timestamp()) + 90)
    server.faults.append(Fault(403, "limit", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}))
    assert "created" in api(server).keep_comment(7, MARKER, BODY, BOT)
    assert 88 < waited[0] <= 90


def test_a_wait_that_is_too_long_is_not_begun(server: GitHubServer, waited: list[float]) -> None:
    """An hour of a runner costs more than a comment is worth."""
    server.faults.append(Fault(429, "slow down", {"retry-after": "3600"}))
    with pytest.raises(WireError, match="slow down"):
        api(server).keep_comment(7, MARKER, BODY, BOT)
    assert waited == []


def test_a_server_that_never_answers_well_is_given_up(server: GitHubServer, waited: list[float]) -> None:
    """Six attempts."""
    server.faults += [Fault(500)] * 9
    with pytest.raises(WireError, match="HTTP 500"):
        api(server).keep_comment(7, MARKER, BODY, BOT)
    assert waited == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert sum(waited) < LONGEST_WAIT_S


def test_a_token_that_may_only_read_is_told_so_at_once(server: GitHubServer, waited: list[float]) -> None:
    """403 without a limit is final, and the hint names the permission."""
    server.may_write = False
    with pytest.raises(RefusedError, match="Resource not accessible") as refused:
        api(server).keep_comment(7, MARKER, BODY, BOT)
    assert "pull-requests: write" in refused.value.hint
    assert refused.value.status == 403
    assert waited == []


def test_a_token_does_not_go_over_the_network_in_the_open() -> None:
    """http:// is for this machine only."""
    with pytest.raises(UsageError, match="in the open"):
        GitHub("http://ghe.example/api/v3", REPOSITORY, Secret(TOKEN))


def test_the_pull_request_of_a_forks_run_is_found_by_owner_branch_and_commit(server: GitHubServer) -> None:
    """Nothing that the fork's run left behind tells which: another pull request must not be written to."""
    server.pulls = [
        {"number": 4, "label": "mallory:fix", "head": {"sha": "b" * 40}},
        {"number": 5, "label": "ada:fix/ünï&page=2", "head": {"sha": "a" * 40}},
    ]
    assert api(server).pull_of("ada:fix/ünï&page=2", "a" * 40) == 5
    assert api(server).pull_of("mallory:fix", "a" * 40) is None
    assert api(server).pull_of("nobody:fix", "a" * 40) is None


def told(tmp_path: Path, name: str, payload: Any, **more: str) -> Event:
    path = tmp_path / "event.json"
    path.write_text(payload if isinstance(payload, str) else json.dumps(payload))
    return event({"GITHUB_EVENT_NAME": name, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_EVENT_PATH": str(path), **more})


def pull(home: str | None) -> dict[str, Any]:
    head = {"sha": "a" * 40, "repo": None if home is None else {"full_name": home}}
    return {"pull_request": {"number": 7, "head": head}}


@pytest.mark.parametrize(("home", "is_fork"), [(REPOSITORY, False), ("ada/quiz", True), (None, True)])
def test_a_pull_request_is_a_forks_where_its_code_lies_elsewhere(
    tmp_path: Path, home: str | None, is_fork: bool
) -> None:
    """Also where the fork was deleted meanwhile; the commit is the head's, not that of the trial merge."""
    found = told(tmp_path, "pull_request", pull(home), GITHUB_SHA="f" * 40)
    assert (found.pull, found.commit, found.is_fork, found.is_read_only) == (7, "a" * 40, is_fork, is_fork)


def test_a_run_after_another_run_has_its_head_and_no_number(tmp_path: Path) -> None:
    """`workflow_run`: who and what, of GitHub's own telling."""
    other = {
        "event": "pull_request",
        "head_sha": "a" * 40,
        "head_branch": "fix",
        "head_repository": {"full_name": "ada/quiz", "owner": {"login": "ada"}},
        "html_url": "https://github.example/lab/quiz/actions/runs/5",
    }
    found = told(tmp_path, "workflow_run", {"workflow_run": other})
    assert (found.head, found.commit, found.pull, found.is_fork) == ("ada:fix", "a" * 40, None, True)
    assert not found.is_read_only
    assert told(tmp_path, "workflow_run", {"workflow_run": {**other, "event": "push"}}).head == ""


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"pull_request": 3, "workflow_run": []}'])
def test_an_event_that_tells_nothing_is_no_pull_request(tmp_path: Path, payload: str) -> None:
    """Whatever the file holds."""
    assert told(tmp_path, "push", payload).pull is None
