"""Reading back what a suite run by pytester has stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench.records import GateResult, Run
from pytest_llmbench.store import Store


def stored_run(pytester: pytest.Pytester, name: str = "last") -> Run:
    store = Store.open(pytester.path / ".llmbench" / "results.db")
    try:
        return store.load_run(name)
    finally:
        store.close()


def declared(run: Run) -> list[GateResult]:
    """What the gates decided that somebody declared; without those that hold in every run."""
    return [gate for gate in run.gates if gate.evidence.kind not in {"error_rate", "budget"}]


def gates(pytester: pytest.Pytester) -> list[GateResult]:
    """As `declared`, of the last run."""
    return declared(stored_run(pytester))


def outcomes(run: Run) -> dict[str, str]:
    return {result.key.partition("::")[2].partition("[")[0]: result.outcome for result in run.results}


def report_folder(pytester: pytest.Pytester, run: Run) -> Path:
    return pytester.path / ".llmbench" / "reports" / run.id
