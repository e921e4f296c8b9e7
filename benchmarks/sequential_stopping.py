"""How many calls does stopping early save, and what does it cost? Scripted models of known pass rate behind one gate.

The tables of docs/explanation/sequential-stopping.md: of each true pass rate so many runs, not stopped, stopped as soon
as the gate's answer is certain (exact curtailment), and stopped by Wald's test. A wrong answer is to pass a model below
the gate, or to fail one that keeps it. The certain answers are those of all samples, which is checked run by run.

    python benchmarks/sequential_stopping.py [--runs 1000] [--gate 0.8] [--margin 0.05]
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass, field

from pytest_llmbench.stats.sequential import Curtailed, Decision, FixedRule, Sprt

RATES = (0.5, 0.6, 0.7, 0.75, 0.78, 0.8, 0.82, 0.85, 0.9, 0.95, 1.0)
SAMPLES = (20, 100, 400)


@dataclass
class Told:
    """What one way to stop decided, run by run."""

    calls: int = 0
    decisions: Counter[Decision] = field(default_factory=Counter)

    def add(self, calls: int, decision: Decision) -> None:
        """One run more."""
        self.calls += calls
        self.decisions[decision] += 1

    def answers(self) -> str:
        """Passed, failed, inconclusive."""
        shares = (self.decisions[each] / self.decisions.total() for each in ("accept", "reject", "inconclusive"))
        return " / ".join(f"{share:.1%}" for share in shares)

    def wrong(self, rule: FixedRule, rate: float) -> str:
        """How often a good model failed, or a bad one passed."""
        return f"{self.decisions['reject' if rate >= rule.p0 else 'accept'] / self.decisions.total():.1%}"

    def saved(self, rule: FixedRule) -> str:
        """Calls that were not made, of all."""
        return f"{1 - self.calls / (self.decisions.total() * rule.n_max):.0%}"


def until_decided(replies: list[bool], stopping: Curtailed | Sprt) -> tuple[int, Decision]:
    """How many replies were asked for, and the answer."""
    for reply in replies:
        stopping.add(reply)
        if (decision := stopping.decision) is not None:
            return stopping.seen, decision
    raise AssertionError("after the last sample there is a decision")


def row(rule: FixedRule, margin: float, rate: float, runs: int) -> str:
    """One true pass rate."""
    source, everything, certain, wald = random.Random(1), Told(), Told(), Told()
    for _ in range(runs):
        replies = [source.random() < rate for _ in range(rule.n_max)]
        everything.add(rule.n_max, rule.verdict(sum(replies), rule.n_max))
        certain.add(*until_decided(replies, Curtailed(rule)))
        wald.add(*until_decided(replies, Sprt(rule, margin)))
    assert certain.decisions == everything.decisions
    cells = (f"{rate:.0%}", everything.answers(), everything.wrong(rule, rate), certain.saved(rule))
    return " | ".join((*cells, wald.saved(rule), wald.answers(), wald.wrong(rule, rate)))


def main() -> None:
    """Print a table for each number of samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--gate", type=float, default=0.8)
    parser.add_argument("--margin", type=float, default=0.05)
    options = parser.parse_args()
    for samples in SAMPLES:
        print(f"\npass rate >= {options.gate:.0%}, {samples} samples, {options.runs} runs a row")
        print(f"Wald's test with ± {options.margin:.0%}; answers: passed / failed / inconclusive\n")
        print("| true rate | all samples | wrong | saved, certain | saved, Wald | Wald | wrong |")
        print("|---|---|---|---|---|---|---|")
        for rate in RATES:
            print(f"| {row(FixedRule(options.gate, samples), options.margin, rate, options.runs)} |")


if __name__ == "__main__":
    main()
