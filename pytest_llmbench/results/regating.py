"""The gates as they are now, held against what a run stored: nothing is asked, and the record stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench import clock
from pytest_llmbench.config import Threshold
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import GateResult, Outcome, Run, TestResult
from pytest_llmbench.results import case_gates, gates
from pytest_llmbench.results.pages import Pages
from pytest_llmbench.results.verdict import Tally, exit_code

REGATED = "regated"
"""In a run's environment: when its gates were decided anew, and by which rules."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is decided by."""

    thresholds: Sequence[Threshold]
    """Of llmbench.yaml."""
    pages: Pages
    max_error_rate: float
    inconclusive: str

    @property
    def hash(self) -> str:
        """Of all rules, 16 characters: the same rules have the same."""
        own = [(rule.use_case, rule.page, rule.threshold.model_dump()) for rule in self.pages.rules]
        said = [own, [each.model_dump() for each in self.thresholds], self.max_error_rate, self.inconclusive]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def regated(run: Run, terms: Terms) -> Run:
    """The run as it would have ended under other terms.

    Args:
        run: as stored.
        terms: the rules as they are now. The gates of a page that is gone are those that the run decided, inconclusive.
    """
    rules = [*terms.pages.rules, *case_gates.rules_of(terms.thresholds)]
    lost = _lost(run, terms.pages)
    decided = [*gates.evaluate(terms.thresholds, run), *case_gates.evaluate(rules, run), *lost]
    code = exit_code(
        ExitCode.OK,
        _tally(run, terms.pages),
        decided,
        max_error_rate=terms.max_error_rate,
        inconclusive=terms.inconclusive,
    )
    if code == ExitCode.OK and lost and terms.inconclusive != "pass":
        code = ExitCode.INCONCLUSIVE  # more samples help none of them
    note = {"at": clock.now().isoformat(timespec="seconds"), "rules": terms.hash, "exit_code_before": run.exit_code}
    return dataclasses.replace(
        run, gates=tuple(decided), exit_code=int(code), environment={**run.environment, REGATED: note}
    )


def _lost(run: Run, pages: Pages) -> list[GateResult]:
    """Gates that the run decided, of pages that nobody can read any more."""
    gone = _cases_of(run, pages.unreadable)
    return [
        dataclasses.replace(gate, verdict=gates.INCONCLUSIVE, reason=f"{gone[gate.profile]} cannot be read any more")
        for gate in run.gates
        if gate.profile in gone
    ]


def _cases_of(run: Run, pages: Mapping[str, str]) -> dict[str, str]:
    """Use case → its page, of these pages."""
    found = (result.evaluation for result in run.results if result.evaluation)
    return {each.use_case: each.page for each in found if each.page in pages}


def _tally(run: Run, pages: Pages) -> Tally:
    outcomes = [result.outcome for result in run.results]
    under_gates = {page for page, case in pages.cases.items() if case.gates}
    lost = _cases_of(run, pages.unreadable)
    under_gates |= {lost[gate.profile] for gate in run.gates if gate.profile in lost}
    failed = sum(_fails(result, under_gates) for result in run.results)
    return Tally(
        plain_failures=failed or int(_others_failed(run)),
        over_budget=outcomes.count(Outcome.OVER_BUDGET),
        infra_errors=outcomes.count(Outcome.INFRA_ERROR),
        pending=outcomes.count(Outcome.PENDING),
        ran=len(outcomes) - outcomes.count(Outcome.SKIPPED),
    )


def _fails(result: TestResult, under_gates: set[str]) -> bool:
    """Whether it fails by itself: a wrong reply to a page's own sample does not where gates decide, or only advice."""
    if result.outcome == Outcome.WRONG and (found := result.evaluation) and result.key.startswith(f"{found.page}::"):
        return not (found.page in under_gates or found.corruption or found.is_only_advised)
    return result.outcome in {Outcome.WRONG, Outcome.TEST_ERROR}


def _others_failed(run: Run) -> bool:
    """Whether it failed by tests that are not in the record: those of a project that ask nothing of us."""
    failures = {Outcome.WRONG, Outcome.TEST_ERROR}
    return run.exit_code == ExitCode.TESTS_FAILED and not any(result.outcome in failures for result in run.results)
