"""The sample repository as GitHub has it, pull requests on it, and a runner that takes our action's steps there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from action_steps import ActionRun, Runner, environment
from github_server import REPOSITORY, GitHubServer

ROOT = Path(__file__).parents[1]
ACTION = ROOT / "action.yml"
SAMPLE = Path(__file__).parent / "ci_sample"
ARTIFACT = "https://github.example/lab/quiz/actions/runs/77/artifacts/5"
TOKEN = "ghs_" + "c3D4" * 9
PAGE = "quiz/USE-CASE.md"
GOOD = ("Answer with one word or number.", "Answer with one word, or one number.")
BAD = ("    {{question}}", "    We are a quiz show from France.\n    {{question}}")
"""The demo model then takes France for the country that is asked about."""


def git(where: Path, *words: str) -> str:
    own = ("-c", "user.name=Ada", "-c", "user.email=ada@lab.example", "-c", "init.defaultBranch=main")
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *own, *words], cwd=where, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(where: Path, message: str) -> str:
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "-m", message)
    return git(where, "rev-parse", "HEAD")


def llmbench(where: Path, folder: Path, *words: str) -> None:
    environ = environment(folder, folder / "none.json", "http://127.0.0.1:9")
    subprocess.run(
        [sys.executable, "-m", "pytest_llmbench", *words], cwd=where, env=environ, check=True, capture_output=True
    )


def blessed(folder: Path) -> Path:
    """The repository: main with a blessed baseline."""
    work = folder / "work"
    shutil.copytree(SAMPLE, work)
    git(folder, "init", "--quiet", str(work))
    commit(work, "Quiz")
    llmbench(work, folder, "run", "--report=none")
    llmbench(work, folder, "baseline", "bless")
    commit(work, "Bless")
    git(folder, "clone", "--quiet", "--bare", str(work), "origin.git")
    return folder / "origin.git"


class PullRequest:
    """A checkout of a pull request with one commit, and a runner for it."""

    def __init__(self, origin: Path, folder: Path, server: GitHubServer, change: tuple[str, str], home: str) -> None:
        self.folder, self.workspace = folder, folder / "workspace"
        git(folder, "clone", "--quiet", str(origin), str(self.workspace))
        self.change(*change)
        head = {"sha": self.sha, "repo": {"full_name": home}}
        event: dict[str, Any] = {"pull_request": {"number": 7, "head": head}}
        (folder / "event.json").write_text(json.dumps(event))
        self.github = {
            "base_ref": "main",
            "event": event,
            "event_name": "pull_request",
            "repository": REPOSITORY,
            "server_url": "https://github.example",
            "token": TOKEN,
            "workspace": str(self.workspace),
        }
        self.environ = environment(
            folder,
            folder / "event.json",
            server.url,
            GITHUB_ACTION_PATH=str(ROOT),
            GITHUB_BASE_REF="main",
            GITHUB_EVENT_NAME="pull_request",
            GITHUB_HEAD_REF="change",
            GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_WORKSPACE=str(self.workspace),
        )
        self.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self.environ['PATH']}"
        self.runs = 0

    def change(self, old: str, new: str) -> None:
        page = self.workspace / PAGE
        text = page.read_text()
        assert old in text
        page.write_text(text.replace(old, new))
        self.sha = commit(self.workspace, "Change")
        # A runner checks a commit out, not a branch.
        git(self.workspace, "checkout", "--quiet", "--detach")

    def run(self, **inputs: str) -> ActionRun:
        """The action; installing is left out."""
        self.runs += 1
        self.runner = Runner(
            self.workspace,
            self.folder / f"runner-{self.runs}",
            self.github,
            self.environ,
            uses={"actions/upload-artifact": {"artifact-url": ARTIFACT}},
        )
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.runner.run(ACTION, {"install": "false", "models-dir": ".llmbench/models", **given})


def opened(
    origin: Path, folder: Path, server: GitHubServer, change: tuple[str, str], home: str = REPOSITORY
) -> PullRequest:
    return PullRequest(origin, folder, server, change, home)


def row(comment: str, words: str) -> list[str]:
    """The cells of the row that holds some words."""
    found = next(line for line in comment.splitlines() if line.startswith("|") and words in line)
    return [cell.strip().replace("&nbsp;", " ") for cell in found.strip("|").split("|")]
