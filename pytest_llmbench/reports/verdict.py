"""How a run ended, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import Outcome, Run, TestResult
from pytest_llmbench.results.served import served
from pytest_llmbench.results.tried_judges import tried

_WORDS: dict[int, tuple[str, str]] = {
    ExitCode.OK: ("passed", "good"),
    ExitCode.TESTS_FAILED: ("tests failed", "bad"),
    ExitCode.INTERRUPTED: ("interrupted", "warn"),
    ExitCode.INTERNAL: ("internal error", "bad"),
    ExitCode.USAGE: ("usage error", "bad"),
    ExitCode.NO_TESTS: ("no tests", "warn"),
    ExitCode.GATE_FAILED: ("gate failed", "bad"),
    ExitCode.INFRA_ERRORS: ("too many infra errors", "bad"),
    ExitCode.OVER_BUDGET: ("over budget", "bad"),
    ExitCode.INCONCLUSIVE: ("gate inconclusive", "warn"),
    ExitCode.PENDING: ("pending", "warn"),
}

_NOT_RUN = {Outcome.SKIPPED: "skipped", Outcome.OVER_BUDGET: "over budget", Outcome.PENDING: "pending"}
"""Outcomes of tests that did not get their reply, and so could not be right."""

_GATE_WORDS = {
    "pass": "passed",
    "fail": "failed",
    "fail (advisory)": "failed by advice",
    "inconclusive": "could not be decided",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The run in a word and a sentence."""

    word: str
    level: str
    """`good`, `warn` or `bad`."""
    sentence: str


def verdict(run: Run) -> Verdict:
    """The verdict that the exit code stands for, with the counts behind it."""
    if run.exit_code is None:
        return Verdict("unfinished", "warn", f"The run was killed, or is still going on. So far: {_counts(run)}")
    word, level = _WORDS.get(run.exit_code, (f"exit code {run.exit_code}", "bad"))
    if run.exit_code == ExitCode.OK and _remarks(run):
        word, level = "passed with remarks", "warn"
    return Verdict(word, level, _counts(run))


def _remarks(run: Run) -> bool:
    kept = {"pass", "inconclusive"} if run.settings.get("inconclusive") == "pass" else {"pass"}
    return (
        any(gate.verdict not in kept for gate in run.gates)
        or any(not _is_as_it_should(result) for result in run.results)
        or any(judge.obeyed for judge in tried(run))
        or any(each.is_loud for each in served(run))
    )


def _is_as_it_should(result: TestResult) -> bool:
    """Right, skipped, or a wrong sample of a use case that is gated: without gates it would have failed the run."""
    is_gated = result.evaluation is not None and result.outcome == Outcome.WRONG
    return is_gated or result.outcome in {Outcome.RIGHT, Outcome.SKIPPED}


def _counts(run: Run) -> str:
    sentences = [_tests(run), _gates(run)]
    return " ".join(sentence for sentence in sentences if sentence)


def _tests(run: Run) -> str:
    outcomes = Counter(str(result.outcome) for result in run.results)
    apart = {words: outcomes.pop(outcome, 0) for outcome, words in _NOT_RUN.items()}
    told = "".join(f", {count:,} {words}" for words, count in apart.items() if count)
    ran, right = outcomes.total(), outcomes[Outcome.RIGHT]
    if not ran:
        return f"No test ran{told if apart['over budget'] or apart['pending'] else ''}."
    if right == ran:
        sentence = "The one test was right" if ran == 1 else f"All {ran:,} tests were right"
    else:
        sentence = f"{right:,} of {ran:,} test{'s' if ran > 1 else ''} {'was' if right == 1 else 'were'} right"
    return f"{sentence}{told}."


def _gates(run: Run) -> str:
    verdicts = Counter(gate.verdict if gate.verdict in _GATE_WORDS else "inconclusive" for gate in run.gates)
    total = verdicts.total()
    if not total:
        return ""
    if verdicts["pass"] == total:
        return "The gate passed." if total == 1 else f"All {total} gates passed."
    told = [f"{verdicts[verdict]} {words}" for verdict, words in _GATE_WORDS.items() if verdicts[verdict]]
    return f"Of {total} gate{'s' if total > 1 else ''}, {', '.join(told)}."
