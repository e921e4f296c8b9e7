"""Which run this is, and which test of it is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.records import Evaluation, GateResult, Record, TestResult


@dataclass(frozen=True, slots=True)
class Identity(Record):
    """Which run this is, handed from the controller to xdist's workers."""

    run_id: str
    controller_pid: int
    folder: str = ""
    """Where the processes of the run meet: private, and nobody can guess its name."""
    command: Sequence[str] = ()
    resuming: bool = False
    source: str = ""
    """The run whose replies are judged anew; empty: models are asked."""


@dataclass(slots=True)
class TestContext:
    """The test that runs now, and what it asked for."""

    __test__ = False

    nodeid: str
    key: str
    model: str = ""
    exclusive: bool = False
    asked: frozenset[str] = frozenset()
    """The fixtures of ours that it gets, itself or through others."""
    sample: str = ""
    """The id of the sample it is about; empty where it is about none."""
    use_case: str = ""
    """The use case it belongs to, as budgets call it."""
    judges: tuple[str, ...] = ()
    """The names of the models that judge what comes back."""
    claims_in_turn: bool = False
    """Whether its models of this machine run one after the other, so that none is claimed beforehand."""
    evaluation: Evaluation | None = None
    """What has become known of its sample so far."""
    rules: tuple[Mapping[str, Any], ...] = ()
    """The gates that it is marked with."""
    gates: list[GateResult] = field(default_factory=list)
    """What was decided in it."""
    measurement_ids: list[str] = field(default_factory=list)
    reply_ids: list[str] = field(default_factory=list)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(who asks, what) → how often, where replies are another run's."""
    owners: list[tuple[str, str]] = field(default_factory=list)
    """(scope, name) of the fixtures being set up, outermost first."""

    def begun(self) -> TestResult:
        """What is known of the test while no report has told how it ended; its `outcome` is empty."""
        return TestResult(
            self.nodeid,
            self.key,
            "",
            model=self.model,
            sample=self.sample,
            evaluation=self.evaluation,
            rules=self.rules,
        )

    def owner(self) -> str:
        """Who asks now: "" for a fixture that several tests share, else this test."""
        return "" if self.owners and self.owners[-1][0] != "function" else self.key

    def asker(self) -> str:
        """The stable key under which replies asked for now are stored."""
        return self.owners[-1][1] if self.owners and self.owners[-1][0] != "function" else self.key
