"""What a run was made with, so that it can be understood later: git's branch and revision, versions, the command."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pytest_llmbench.redaction import redact

_PACKAGES = ("pytest-llmbench", "pytest", "pytest-xdist", "xllamacpp", "httptools", "uvloop")


def environment(root: Path, command: Sequence[str], baselines: str = "") -> dict[str, Any]:
    """The environment of a run; what cannot be found out is None or absent.

    Args:
        root: the project's root directory.
        command: what was typed; keys in it are taken out.
        baselines: the folder of baselines: a new one in it changes nothing of what is run.
    """
    head, changes = _status(root, Path(baselines).name)
    return {
        "git_revision": _git(root, "rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        **branches(head, os.environ),
        "versions": {"python": platform.python_version(), **_versions()},
        "command": [redact(word) for word in command],
    }


def branches(head: str, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Which branch is run, and into which it is to be merged.

    Args:
        head: the branch that is checked out; empty where none is, as in most CI.
        environ: the process's; GitHub's and GitLab's variables say what is checked out without a branch.

    Returns:
        `branch` and `base_branch`, None where nobody knows.
    """
    merged = environ.get("GITHUB_HEAD_REF") or environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
    pushed = environ.get("GITHUB_REF_NAME") if environ.get("GITHUB_REF_TYPE", "branch") == "branch" else None
    base = environ.get("GITHUB_BASE_REF") or environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    known = (head, merged, None if base else pushed, environ.get("CI_COMMIT_BRANCH"))
    return {"branch": next(filter(None, known), None), "base_branch": base or None}


def commits(root: Path, before: str, until: str, limit: int) -> list[tuple[str, str]] | None:
    """The commits after one and up to another, the newest first.

    Args:
        root: the project's root directory.
        before: a revision; it is not among them.
        until: a revision.
        limit: how many, at most.

    Returns:
        (revision, first line of its message) each; None where git, or this repository, does not know both.
    """
    if not all(re.fullmatch(r"[0-9a-f]{7,64}", revision) for revision in (before, until)):
        return None
    told = _git(root, "log", "--format=%H %s", f"--max-count={limit}", f"{before}..{until}")
    if told is None:
        return None
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in told.splitlines()]


def _status(root: Path, but: str) -> tuple[str, str | None]:
    """The branch that is checked out (empty: none is), and what was changed, but for folders of a name; None outside of
    a repository."""
    places = [":/", f":(exclude,top,glob)**/{but}/**"] if but else [":/"]
    told = _git(root, "status", "--porcelain", "--branch", "--", *places)
    if told is None:
        return "", None
    head, _, changes = told.partition("\n")
    name = head.removeprefix("## ").removeprefix("No commits yet on ").partition("...")[0]
    return ("" if name.startswith("HEAD (") else name), changes


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
