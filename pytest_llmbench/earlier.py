"""What the results database of a folder tells of runs without making any: nothing is created where there is none."""

from __future__ import annotations

from pathlib import Path

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import TestResult
from pytest_llmbench.store import Store


def run_to_resume(path: Path, name: str) -> str:
    """The id of a stored run.

    Args:
        path: the database.
        name: its id, the beginning of that, or "last".

    Raises:
        UsageError: there is no such run.
    """
    if not path.exists():
        raise UsageError(f"cannot resume {name!r}: {path} does not exist", hint="run without --resume first")
    with Store.open(path) as store:
        return store.load_run(name).id


def stored_result(path: Path, run_id: str, nodeid: str) -> TestResult | None:
    """What a run knows of a test, which may be none of ours."""
    if not path.exists():
        return None
    with Store.open(path) as store:
        return store.find_result(run_id, nodeid)
