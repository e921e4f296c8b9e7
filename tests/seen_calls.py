"""An observer that remembers, for tests of whoever tells observers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_llmbench.observe.calls import CallBegun, CallEnded, Note
from pytest_llmbench.records import TestResult


@dataclass
class Onlooker:
    """Remembers what it was told."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent along with each call."""
    begun: list[CallBegun] = field(default_factory=list)
    ended: list[CallEnded] = field(default_factory=list)
    noted: list[Note] = field(default_factory=list)

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        self.begun.append(call)
        return self.headers

    def ends(self, ended: CallEnded) -> None:
        self.ended.append(ended)

    def tests(self, result: TestResult) -> None:
        """Not of interest here."""

    def notes(self, note: Note) -> None:
        self.noted.append(note)

    def flush(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Nothing is open."""

    def outcomes(self) -> list[tuple[str, int, str, bool]]:
        """Of each call that ended: test, attempt, outcome, whether it was to be tried again."""
        return [
            (end.call.test_key, end.call.attempt, str(end.outcome), end.retry_in_s is not None) for end in self.ended
        ]


class Broken(Onlooker):
    """Fails at whatever it is told."""

    def begins(self, call: CallBegun) -> Mapping[str, str]:
        raise RuntimeError(f"cannot look at {call.test_key}")


def a_call(**fields: object) -> CallBegun:
    """A call that begins."""
    return CallBegun(**{"run_id": "r1", "test_key": "t.py::test[a/b]", "model": "lab/m", **fields})
