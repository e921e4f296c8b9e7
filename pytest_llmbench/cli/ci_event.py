"""What GitHub Actions tells a step: the repository, what it runs for, and which pull request that belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, from the runner's environment; none of it comes from an artifact or a checkout."""

    name: str = ""
    """`pull_request`, `push`, `workflow_run`, ...; empty outside of GitHub Actions."""
    repository: str = ""
    """`owner/name`."""
    api_url: str = "https://api.github.com"
    job_url: str = ""
    """The page of the run whose figures are told."""
    commit: str = ""
    pull: int | None = None
    """The number of the pull request; of a `workflow_run` it is looked up by `head` and `commit`."""
    head: str = ""
    """`owner:branch` of the other run's head, of a `workflow_run` for a pull request."""
    is_fork: bool = False
    """Whether the code comes from another repository."""

    @property
    def is_read_only(self) -> bool:
        """Whether the token may write nothing, whatever the workflow's permissions say."""
        return self.is_fork and self.name == "pull_request"


def event(environ: Mapping[str, str]) -> Event:
    """The event that the runner's variables tell of; fields that they do not tell are empty."""
    name, repository = environ.get("GITHUB_EVENT_NAME", ""), environ.get("GITHUB_REPOSITORY", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    run = environ.get("GITHUB_RUN_ID", "")
    told: dict[str, Any] = {
        "name": name,
        "repository": repository if _REPOSITORY.fullmatch(repository) else "",
        "api_url": (environ.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"),
        "job_url": f"{server}/{repository}/actions/runs/{run}" if run else "",
        "commit": environ.get("GITHUB_SHA", ""),
    }
    payload = _payload(environ.get("GITHUB_EVENT_PATH", ""))
    if isinstance(pull := payload.get("pull_request"), dict):
        told |= _of_pull(pull, repository)
    if isinstance(other := payload.get("workflow_run"), dict):
        told |= _of_other_run(other, repository)
    return Event(**told)


def _payload(path: str) -> Mapping[str, Any]:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _of_pull(pull: Mapping[str, Any], repository: str) -> dict[str, Any]:
    head = pull.get("head") or {}
    # The repository of a fork that was deleted is null.
    home = (head.get("repo") or {}).get("full_name")
    return {"pull": pull.get("number"), "commit": str(head.get("sha") or ""), "is_fork": home != repository}


def _of_other_run(other: Mapping[str, Any], repository: str) -> dict[str, Any]:
    home = other.get("head_repository") or {}
    owner = (home.get("owner") or {}).get("login", "")
    asked = other.get("event") == "pull_request"
    return {
        "commit": str(other.get("head_sha") or ""),
        "head": f"{owner}:{other.get('head_branch')}" if asked and owner and other.get("head_branch") else "",
        "is_fork": home.get("full_name") != repository,
        "job_url": str(other.get("html_url") or ""),
    }
