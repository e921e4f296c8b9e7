"""What one validator, judge or assertion says of one reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_llmbench.records.record import Record

State = Literal["scored", "unscored", "error"]


@dataclass(frozen=True, slots=True)
class Score(Record):
    """One verdict on one reply, with its reasons."""

    name: str
    """Of the validator, as the use case calls it."""
    state: State = "scored"
    """`unscored`: nobody can tell (no expected answer, a time that was not measured). `error`: the validator itself
    failed. Neither says anything of the reply, and neither is a 0."""
    value: float | None = None
    """From 0 to 1, higher is better; None unless scored."""
    passed: bool | None = None
    """Whether the reply is good enough; None where there is a value and no threshold, or no score."""
    weight: float = 1
    reason: str = ""
    """Why, in words."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was measured on the way, as JSON has it: `{"wer": 0.2}`, `{"fields": {"total": "118 is not 119"}}`."""
    executed: bool = False
    """Whether something was run to find out (a pattern, a query, code), which outranks what a judge thinks."""
    judged: bool = False
    """Whether a model judged: opinion, not computation."""
    advisory: bool = False
    """Of a judge whose trustworthiness nobody has shown: it is told, and fails nothing."""
    parts: Sequence[Score] = ()
    """What it was put together from."""

    def __repr__(self) -> str:
        """Short: pytest prints it where a test asserts on it."""
        told = f", value={self.value:.4g}" if self.value is not None else ""
        state = f", state={self.state!r}" if self.state != "scored" else ""
        return f"Score({self.name!r}, passed={self.passed}{told}{state}, reason={self.reason[:80]!r})"
