"""Which wrong samples are counted by a gate, and so fail nothing by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from pytest_llmbench.config import Gate
from pytest_llmbench.records import GateResult, Outcome, TestResult
from pytest_llmbench.results.gates import is_named

RATE = "pass_rate"
QUALITY = frozenset({RATE, "score", "robustness"})
"""Metrics that wrong samples count in."""


def counts(gate: Gate, model: str, use_case: str) -> bool:
    """Whether a gate of llmbench.yaml, or of a mark, decides over a model's wrong samples on a use case."""
    return gate.metric in QUALITY and fnmatchcase(use_case, gate.profile) and is_named(gate.model, model)


def is_counted(model: str, use_case: str, *, own: Iterable[Gate], others: Iterable[Gate]) -> bool:
    """Whether any gate counts the wrong samples of a model on a use case.

    Args:
        model: the name of the one that was asked.
        use_case: its name.
        own: the gates of the use case's page: with one over quality, rates decide over all of its models, those too
            that are only asked for comparison.
        others: those of llmbench.yaml and of the test's marks.
    """
    return any(gate.metric in QUALITY for gate in own) or any(counts(gate, model, use_case) for gate in others)


def rows_of(result: TestResult) -> str:
    """The name of the test whose rows of a dataset a result is one of; empty where it is no such row."""
    is_row = bool(result.sample) and result.evaluation is None
    return result.key.partition("[")[0].rpartition("::")[2] if is_row else ""


def is_counted_row(result: TestResult, gates: Iterable[Gate]) -> bool:
    """Whether gates that the test is marked with count a wrong row of a dataset: they know its pass rate alone."""
    name = rows_of(result)
    return bool(name) and any(gate.metric == RATE and counts(gate, result.model, name) for gate in gates)


def was_counted(result: TestResult, gates: Sequence[GateResult]) -> bool:
    """Whether a wrong sample of a stored run was counted by one of its gates, and failed nothing."""
    name = result.evaluation.use_case if result.evaluation else rows_of(result)
    if not name or result.outcome != Outcome.WRONG:
        return False
    return any(
        gate.metric in QUALITY and gate.profile == name and gate.model.partition(" · ")[0] == result.model
        for gate in gates
    )
