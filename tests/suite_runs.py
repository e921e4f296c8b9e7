"""Reading back what a suite run by pytester has stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench.records import Run
from pytest_llmbench.store import Store


def stored_run(pytester: pytest.Pytester, name: str = "last") -> Run:
    store = Store.open(pytester.path / ".llmbench" / "results.db")
    try:
        return store.load_run(name)
    finally:
        store.close()


def outcomes(run: Run) -> dict[str, str]:
    return {result.key.partition("::")[2].partition("[")[0]: result.outcome for result in run.results}


def report_folder(pytester: pytest.Pytester, run: Run) -> Path:
    return pytester.path / ".llmbench" / "reports" / run.id
