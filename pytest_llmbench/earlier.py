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


def results_before(path: Path, use_case: str, run_id: str) -> list[TestResult]:
    """The results of a use case in the last run that ended and asked any of it; `run_id`: a run that does not count."""
    if not path.exists():
        return []
    with Store.open(path) as store:
        return store.last_results_of(use_case, before=run_id)
