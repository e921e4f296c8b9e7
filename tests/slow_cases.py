"""The list of slow cases, and what of it has rotted."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

LIST = Path(__file__).parent / "slow_cases.txt"
GONE = pytest.StashKey[list[str]]()
"""Of what is listed, what was not collected where it should have been."""


def listed() -> list[str]:
    """Node ids of cases that are slow ones."""
    return LIST.read_text(encoding="utf-8").splitlines()


def gone(cases: Collection[str], collected: Collection[str], root: Path) -> list[str]:
    """The cases that no longer exist: their file is not there, or was collected without them.

    Args:
        cases: node ids.
        collected: the node ids of this session, before any are deselected.
        root: what they are relative to.
    """
    known, files = set(collected), {_file(nodeid) for nodeid in collected}
    return [case for case in cases if case not in known and (_file(case) in files or not (root / _file(case)).exists())]


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
