"""A run as workflow commands of GitHub Actions: a mark beside the line of each sample, test or gate that failed.

A command is one line of standard output, and messages hold what models said: a line break, or what else the runner
reads as the beginning or the end of a command, is escaped, so that no text makes a command of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import GateResult, Outcome, Run, TestResult
from pytest_llmbench.reports.places import Places, Spot
from pytest_llmbench.reports.verdict import verdict
from pytest_llmbench.reports.verdict_rows import verdict_rows
from pytest_llmbench.reports.view import outcome_words, urgency

MOST = 10
"""GitHub shows so many of each level and step, and drops the others without a word."""
_LONGEST = 1000
"""Characters of a message."""
_LEVELS = {"fail": "error", "inconclusive": "warning", "fail (advisory)": "warning", "pass": "notice"}
_NOT_RIGHT = frozenset({Outcome.WRONG, Outcome.TEST_ERROR, Outcome.INFRA_ERROR})
_WHOLE = frozenset({ExitCode.INFRA_ERRORS, ExitCode.OVER_BUDGET, ExitCode.INTERNAL, ExitCode.INTERRUPTED})
"""Exit codes that neither a gate nor a test explains."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark on a line of a file, or on the whole where there is no file."""

    level: str
    """`error`, `warning` or `notice`."""
    title: str
    message: str
    spot: Spot | None = None

    @property
    def command(self) -> str:
        """The one line that tells it to the runner."""
        said = {"title": terminal_safe(self.title, keep="")}
        if self.spot is not None:
            line = {} if self.spot.line is None else {"line": str(self.spot.line)}
            said = {"file": self.spot.file, **line, **said}
        told = ",".join(f"{name}={_property(value)}" for name, value in said.items())
        return f"::{self.level} {told}::{_data(terminal_safe(self.message)[:_LONGEST])}"


def marks(run: Run, places: Places) -> Iterator[Annotation]:
    """What is to be marked: failed gates and what they could not decide, then samples and tests, at most 10 a level.

    A sample that is wrong under a gate is as serious as what the gate decided.
    """
    shown: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for each in _all(run, places):
        if shown[each.level] < MOST - 1:
            shown[each.level] += 1
            yield each
        else:
            held[each.level] += 1
    for level, count in held.items():
        yield Annotation(level, f"{count:,} more", "GitHub shows ten of a kind; all of them are in the report.")


def _all(run: Run, places: Places) -> Iterator[Annotation]:
    ended = verdict(run)
    if run.exit_code in _WHOLE or run.exit_code is None:
        yield Annotation("error", f"llmbench: {ended.word}", ended.sentence)
    odd = [gate for gate in run.gates if gate.verdict != "pass"]
    for row, gate in zip(verdict_rows(odd), sorted(odd, key=lambda gate: _severity(gate.verdict)), strict=True):
        word = "failed" if row.verdict.startswith("fail") else "inconclusive"
        yield Annotation(
            _LEVELS[row.verdict], f"gate {word}: {row.rule}", f"{row.subject}: {row.why}", places.of_gate(gate, run)
        )
    for result in sorted((r for r in run.results if r.outcome in _NOT_RIGHT), key=lambda r: urgency(r.outcome)):
        title = f"{outcome_words(result.outcome)}: {_name(result)}"
        told = f"{result.model}: {result.message}" if result.model else result.message
        yield Annotation(_level(result, run), title, told or title, places.of_result(result))


def _severity(word: str) -> int:
    order = ("fail", "inconclusive", "fail (advisory)")
    return order.index(word) if word in order else 1


def _name(result: TestResult) -> str:
    found = result.evaluation
    return f"{found.use_case}, {found.sample}" if found is not None else result.nodeid.rpartition("::")[2]


def _level(result: TestResult, run: Run) -> str:
    if result.outcome == Outcome.INFRA_ERROR:
        return "error" if run.exit_code == ExitCode.INFRA_ERRORS else "warning"
    levels = {_LEVELS.get(gate.verdict, "warning") for gate in _about(result, run.gates)}
    if result.outcome != Outcome.WRONG or not levels:
        return "error" if run.exit_code == ExitCode.TESTS_FAILED else "warning"
    return next(level for level in ("error", "warning", "notice") if level in levels)


def _about(result: TestResult, gates: Sequence[GateResult]) -> Iterator[GateResult]:
    case = result.evaluation.use_case if result.evaluation is not None else ""
    for gate in gates:
        if case and gate.profile == case and gate.model in {result.model, "", "*"}:
            yield gate


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
