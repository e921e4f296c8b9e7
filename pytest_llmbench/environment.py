"""What a run was made with, so that it can be understood later: git revision and dirtiness, versions, the command."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pytest_llmbench.redaction import redact

_PACKAGES = ("pytest-llmbench", "pytest", "pytest-xdist", "xllamacpp", "httptools", "uvloop")


def environment(root: Path, command: Sequence[str]) -> dict[str, Any]:
    """The environment of a run; what cannot be found out is None or absent.

    Args:
        root: the project's root directory.
        command: what was typed; keys in it are taken out.
    """
    changes = _git(root, "status", "--porcelain")
    return {
        "git_revision": _git(root, "rev-parse", "HEAD"),
        "git_dirty": None if changes is None else bool(changes),
        "versions": {"python": platform.python_version(), **_versions()},
        "command": [redact(word) for word in command],
    }


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
