"""Which lines of a request log somebody wants to see."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_llmbench.observe.calls import Level, Outcome
from pytest_llmbench.observe.log_fields import CALL, LOG, NOTE, Line

SLOW_S = 10.0
"""A call that takes longer is slow, where nobody says otherwise."""

_BAD = frozenset({Outcome.FAILED, Outcome.CANCELLED})
_TOLD_AMONG_FAILURES = frozenset({Level.WARNING, Level.ERROR})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted; where several things are said, all of them."""

    failed: bool = False
    """Only calls that brought no reply, and notes that tell of trouble."""
    slow_s: float | None = None
    """Only calls that took longer, in seconds."""
    category: str = ""
    """Only failures of this kind; `timeout` means all of `timeout.*`."""
    model: str = ""
    """Only of models of this name; a glob."""
    test: str = ""
    """Only of tests, samples, use cases or profiles that hold this text, or match this glob."""

    def holds(self, line: Line) -> bool:
        """Whether a line is wanted."""
        event = line.get("event")
        if event == LOG or (self.model and not fnmatchcase(str(line.get("model", "")), self.model)):
            return False
        if event == NOTE:
            is_told = not self.failed or line.get("level") in _TOLD_AMONG_FAILURES
            return is_told and self.slow_s is None and not (self.category or self.test)
        if self.test and not any(
            self._names(str(line.get(name, ""))) for name in ("test", "sample", "use_case", "profile")
        ):
            return False
        return self._holds_end(line) if event == CALL else not (self.failed or self.category)

    def _holds_end(self, line: Line) -> bool:
        category = str(line.get("category", ""))
        return (
            (not self.failed or line.get("outcome") in _BAD)
            and (self.slow_s is None or is_slow(line, self.slow_s))
            and (not self.category or category == self.category or category.startswith(f"{self.category}."))
        )

    def _names(self, text: str) -> bool:
        return self.test in text or fnmatchcase(text, self.test)


def is_slow(line: Line, slow_s: float) -> bool:
    """Whether a call took longer."""
    duration_s = line.get("duration_s")
    return isinstance(duration_s, int | float) and duration_s > slow_s


def is_measured(line: Line) -> bool:
    """Whether a call was made to measure how fast its model is."""
    return bool(line.get("profile"))


def is_problem(line: Line) -> bool:
    """Whether somebody who only wants to see trouble wants to see it."""
    if line.get("event") == CALL and is_slow(line, SLOW_S) and not is_measured(line):  # a load is slow on purpose
        return True
    return line.get("level") in _TOLD_AMONG_FAILURES
