"""Do the intervals that judges are trusted by hold what they say? Shares of simulated calibrations of known truth.

The tables of docs/explanation/statistics.md, section "Can this judge be trusted?". `plain` is the percentile bootstrap
over subjects, `ours` that of stats/resampling.py; `too high` is how often our interval lies above the truth, which is
the error that trusts a bad judge.

    python benchmarks/judge_statistics.py [--draws 1000]
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator

import numpy as np

from pytest_llmbench.stats.agreement import cohen
from pytest_llmbench.stats.coefficients import cohen_kappas, costs_of
from pytest_llmbench.stats.corrected import corrected_rate
from pytest_llmbench.stats.intervals import wilson
from pytest_llmbench.stats.votes import effective_votes, effective_votes_without_truth

Pairs = list[tuple[bool, bool]]


def calibrations(draws: int, n: int, good: float, kappa: float) -> Iterator[Pairs]:
    """Verdicts of judge and people with that kappa in truth: some are shared, the others drawn independently."""
    source = random.Random(1)

    def verdict() -> bool:
        return source.random() < good

    for _ in range(draws):
        yield [(one, one if source.random() < kappa else verdict()) for one in (verdict() for _ in range(n))]


def plain_interval(pairs: Pairs) -> tuple[float, float]:
    """The percentile bootstrap as it is usually done."""
    cells = [pairs.count(each) / len(pairs) for each in ((False, False), (False, True), (True, False), (True, True))]
    tables = np.random.default_rng(0).multinomial(len(pairs), cells, 2000).reshape(-1, 2, 2).astype(float)
    drawn = cohen_kappas(tables, costs_of(2, None))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def kappa_rows(draws: int) -> None:
    """Coverage of kappa's interval, without the calibrations of which kappa is not defined."""
    print("| subjects | good replies | kappa | plain | ours | ours too high |\n|---|---|---|---|---|---|")
    for n in (10, 20, 50, 100, 200):
        for good in (0.5, 0.8):
            for kappa in (0.0, 0.4, 0.7, 0.9):
                print(f"| {n} | {good:.0%} | {kappa} | {kappa_row(draws, n, good, kappa)} |")


def kappa_row(draws: int, n: int, good: float, kappa: float) -> str:
    """Of one kind of calibration."""
    plain, ours, above, total = 0, 0, 0, 0
    for pairs in calibrations(draws, n, good, kappa):
        found = cohen(pairs)
        if found is None or found.low is None or found.high is None:
            continue
        low, high = plain_interval(pairs)
        total += 1
        plain += low <= kappa <= high
        ours += found.low <= kappa <= found.high
        above += found.low > kappa
    return " | ".join(f"{count / total:.0%}" for count in (plain, ours, above))


def rate_rows(draws: int) -> None:
    """Coverage of the corrected pass rate: 300 replies, a judge of sensitivity 0.9 and specificity 0.75."""
    print("\n| good replies | labels of each kind | judge's rates taken for exact | corrected |\n|---|---|---|---|")
    for rate in (0.5, 0.8, 0.95):
        for labels in (20, 50, 200):
            print(f"| {rate:.0%} | {labels} | {rate_row(draws, rate, labels)} |")


def rate_row(draws: int, rate: float, labels: int) -> str:
    """Of one kind of calibration."""
    source = random.Random(1)

    def hits(n: int, chance: float) -> int:
        return sum(source.random() < chance for _ in range(n))

    exact, ours = 0, 0
    for _ in range(draws):
        passed, right, failed = hits(300, rate * 0.9 + (1 - rate) * 0.25), hits(labels, 0.9), hits(labels, 0.75)
        found, discernment = (
            corrected_rate(passed, 300, (right, labels), (failed, labels)),
            (right + failed) / labels - 1,
        )
        if found is None or found.low is None or found.high is None:
            continue
        seen = wilson(passed, 300)
        low, high = ((end + failed / labels - 1) / discernment for end in (seen.low, seen.high))
        exact += low <= rate <= high
        ours += found.low <= rate <= found.high
    return f"{exact / draws:.0%} | {ours / draws:.0%}"


def vote_rows(draws: int) -> None:
    """Estimates of a panel's effective votes: 100 samples, every judge errs on 20 %."""
    print("\n| judges | correlation | true votes | with truth | covered | without truth |\n|---|---|---|---|---|---|")
    for judges in (3, 5, 7):
        for together in (0.0, 0.3, 0.7):
            print(f"| {judges} | {together} | {vote_row(draws, judges, together)} |")


def vote_row(draws: int, judges: int, together: float) -> str:
    """Of one kind of panel."""
    source, truth = random.Random(1), judges / (1 + (judges - 1) * together)
    found, blind, covered = [], [], 0
    for _ in range(draws):
        errors = [_errors(source, judges, together) for _ in range(100)]
        told, guessed = effective_votes(errors), effective_votes_without_truth(errors)
        if told is None or told.low is None or told.high is None:
            continue
        found.append(told.votes)
        covered += told.low - 1e-9 <= truth <= told.high + 1e-9
        blind += [guessed.votes] if guessed else []
    without = f"{math.fsum(blind) / len(blind):.1f}" if blind else "-"
    return f"{truth:.1f} | {math.fsum(found) / len(found):.1f} | {covered / len(found):.0%} | {without}"


def _errors(source: random.Random, judges: int, together: float) -> list[float]:
    shared, copied = float(source.random() < 0.2), math.sqrt(together)
    return [shared if source.random() < copied else float(source.random() < 0.2) for _ in range(judges)]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    kappa_rows(options.draws)
    rate_rows(options.draws)
    vote_rows(max(1, options.draws // 5))


if __name__ == "__main__":
    main()
