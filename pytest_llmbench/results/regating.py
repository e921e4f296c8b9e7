"""The gates as they are now, held against what a run stored: nothing is asked, and the record stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_llmbench import clock
from pytest_llmbench.config import gate
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import GateResult, Outcome, Run, TestResult
from pytest_llmbench.results.gating import BUDGET, Rules, gates_of
from pytest_llmbench.results.pages import Pages
from pytest_llmbench.results.under_gates import is_counted, is_counted_row
from pytest_llmbench.results.unexpected import CASES
from pytest_llmbench.results.verdict import Tally, exit_code

REGATED = "regated"
"""In a run's environment: when its gates were decided anew, and by which rules."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is decided by."""

    rules: Rules
    pages: Pages
    inconclusive: str

    @property
    def hash(self) -> str:
        """Of all rules, 16 characters: the same rules have the same."""
        own = [(rule.use_case, rule.page, rule.gate.model_dump()) for rule in self.rules.pages]
        declared = [each.model_dump() for each in self.rules.gates]
        said = [own, declared, self.rules.max_error_rate, self.inconclusive]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def regated(run: Run, terms: Terms) -> Run:
    """The run as it would have ended under other terms.

    Args:
        run: as stored.
        terms: the rules as they are now. The gates of a page that is gone are those that the run decided, inconclusive.
    """
    lost = _lost(run, terms.pages)
    budgets = [each for each in run.gates if each.evidence.kind == BUDGET]  # what was spent then is spent
    decided = [*gates_of(run, terms.rules), *budgets, *lost]
    code = exit_code(
        ExitCode.OK,
        _tally(run, terms),
        decided,
        max_error_rate=terms.rules.max_error_rate,
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
        dataclasses.replace(
            gate, verdict=CASES["page_gone"].verdict, reason=f"{gone[gate.profile]} cannot be read any more"
        )
        for gate in run.gates
        if gate.profile in gone
    ]


def _cases_of(run: Run, pages: Mapping[str, str]) -> dict[str, str]:
    """Use case → its page, of these pages."""
    found = (result.evaluation for result in run.results if result.evaluation)
    return {each.use_case: each.page for each in found if each.page in pages}


def _tally(run: Run, terms: Terms) -> Tally:
    outcomes = [result.outcome for result in run.results]
    failed = sum(_fails(run, result, terms) for result in run.results)
    return Tally(
        plain_failures=failed or int(_others_failed(run)),
        over_budget=outcomes.count(Outcome.OVER_BUDGET),
        infra_errors=outcomes.count(Outcome.INFRA_ERROR),
        pending=outcomes.count(Outcome.PENDING),
        ran=len(outcomes) - outcomes.count(Outcome.SKIPPED),
    )


def _fails(run: Run, result: TestResult, terms: Terms) -> bool:
    """Whether it fails by itself: a wrong sample does not where gates decide over it, or only advice is against it."""
    found = result.evaluation
    if result.outcome != Outcome.WRONG or found is None:
        is_bad = result.outcome in {Outcome.WRONG, Outcome.TEST_ERROR}
        return is_bad and not is_counted_row(result, map(gate, result.rules))
    if found.labelled is not None:
        return False  # it is its judge that was tried
    if result.key.startswith(f"{found.page}::") and (found.corruption or found.is_only_advised):
        return False
    lost = _cases_of(run, terms.pages.unreadable)
    if found.use_case in lost and any(each.profile == found.use_case for each in run.gates):
        return False
    case = terms.pages.cases.get(found.page)
    others = [*terms.rules.gates, *map(gate, result.rules)]
    return not is_counted(result.model, found.use_case, own=case.gates if case else (), others=others)


def _others_failed(run: Run) -> bool:
    """Whether it failed by tests that are not in the record: those of a project that ask nothing of us."""
    failures = {Outcome.WRONG, Outcome.TEST_ERROR}
    return run.exit_code == ExitCode.TESTS_FAILED and not any(result.outcome in failures for result in run.results)
