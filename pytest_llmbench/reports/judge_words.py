"""What every report says of judges: held against people, and at work in use cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_llmbench.reports import figures
from pytest_llmbench.results.held_judges import Calibrated, Counted, HeldJudge, Together
from pytest_llmbench.results.judge_use import Judging, UsedJudge, UsedPanel
from pytest_llmbench.results.stand_ins import Doubtful, StandIn
from pytest_llmbench.results.tried_judges import TriedJudge
from pytest_llmbench.stats import Estimate
from pytest_llmbench.stats.votes import EffectiveVotes

HELD_HEADS = (
    *("judge", "standing", "labels", "agreement", "kappa", "passes the good", "fails the bad", "obeys orders"),
    *("length", "own family", "pairs", "first place", "flips", "unusable"),
)
USED_HEADS = (
    *("use case", "model", "judge", "standing", "why", "passed", "failed", "unusable", "asked again"),
    *("pass rate", "corrected"),
)
HELD_FIELDS = (
    *("judge", "standing", "labels", "agreement", "kappa", "sensitivity", "specificity", "canaries"),
    *("length", "family", "pairs", "position", "flips", "unusable"),
)
"""Of `HeldCells`, in the order of the heads."""
USED_FIELDS = (
    *("use_case", "model", "judge", "standing", "why", "passed", "failed", "unusable", "retried"),
    *("pass_rate", "corrected"),
)
_ADVICE = "docs/explanation/judges.md"
_STANDINGS = {
    "calibrated": "counts",
    "advisory": "advises",
    "bound": "counts (declared)",
}


@dataclass(frozen=True, slots=True)
class HeldCells:
    """A judge held against people, in words; in the order of `HELD_HEADS`."""

    judge: str
    standing: str
    labels: str
    agreement: str
    kappa: str
    sensitivity: str
    specificity: str
    canaries: str
    length: str
    family: str
    pairs: str
    position: str
    flips: str
    unusable: str
    is_enough: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class UsedCells:
    """A judge at work, in words; in the order of `USED_HEADS`."""

    use_case: str
    model: str
    judge: str
    standing: str
    passed: str
    failed: str
    unusable: str
    retried: str
    pass_rate: str
    corrected: str
    why: str
    level: str
    """`good` where a calibration makes it count, else `warn`."""


def held_cells(judge: HeldJudge) -> HeldCells:
    """A row about a judge."""
    return HeldCells(
        judge=judge.judge,
        standing="advises" if judge.shortfall else "counts",
        labels=f"{judge.n:,}",
        agreement=share_told(judge.agreement),
        kappa=told(judge.kappa),
        sensitivity=_counted(judge.sensitivity),
        specificity=_counted(judge.specificity),
        canaries=_counted(judge.canaries),
        length=told(judge.length),
        family=told(judge.family),
        pairs=f"{judge.pairs:,}" if judge.pairs or judge.unusable_pairs else figures.NOT_MEASURED,
        position=share_told(judge.position),
        flips=share_told(judge.flips),
        unusable=f"{judge.unusable + judge.unusable_pairs:,}",
        is_enough=not judge.shortfall,
        sentence=judge.sentence,
    )


def used_cells(judge: UsedJudge) -> UsedCells:
    """A row about a judge at work."""
    return UsedCells(
        use_case=judge.use_case,
        model=judge.model,
        judge=judge.judge,
        standing=_STANDINGS[judge.standing],
        passed=f"{judge.passed:,}",
        failed=f"{judge.failed:,}",
        unusable=f"{judge.unusable:,}",
        retried=f"{judge.retried:,}",
        pass_rate=share_told(judge.pass_rate),
        corrected="unlike its labels" if judge.is_unlike else share_told(judge.corrected),
        why=judge.why,
        level="good" if judge.standing == "calibrated" else "warn",
    )


def silence_words(judge: UsedJudge) -> str:
    """How often nothing that a judge said could be used; empty: never."""
    asked = judge.passed + judge.failed + judge.unusable
    if not judge.unusable:
        return ""
    said = f"{judge.judge} gave no usable verdict on {judge.unusable:,} of {asked:,} replies"
    return f"{judge.use_case}, {judge.model}: {said}, and was asked again"


def stand_in_words(stand_in: StandIn) -> str:
    """`3 of 120 verdicts by the fall-back b/y (a/x: overloaded)`."""
    counted = f"{stand_in.count:,} of {stand_in.of:,} verdicts by"
    why = _reasons(stand_in.why)
    if stand_in.unsure:
        return f"{counted} {stand_in.model}, since {stand_in.instead_of} was unsure ({why})"
    return f"{counted} the fall-back {stand_in.model} ({stand_in.instead_of}: {why})"


def doubt_words(found: Doubtful) -> str:
    """`2 of 120 verdicts are of a/x in spite of a doubt (border): b/y: over_budget`."""
    counted = f"{found.count:,} of {found.of:,} verdicts are of {found.model} in spite of a doubt"
    return f"{counted} ({_reasons(found.why)}): {_reasons(found.missing)}"


def obedience_words(judge: TriedJudge) -> str:
    """How many planted orders it obeyed, and what to do about it."""
    who = f"{judge.judge} on {judge.use_case}"
    if not judge.orders:
        return f"{who}: too few planted replies were put to it to say whether it obeys them"
    said = f"{who}: obeyed {judge.obeyed:,} of {judge.orders:,} planted orders"
    if judge.unusable:
        said += f", no usable verdict on {judge.unusable:,} of the planted replies"
    if judge.obeyed:
        said += ": replies can tell it what to say, so take another judge"
    elif judge.is_lenient:
        said += ", but passes the same bad reply without an order: calibrate it, or make the rubric stricter"
    return f"{said} ({_ADVICE})" if judge.obeyed or judge.is_lenient else said


def obedience_level(judge: TriedJudge) -> str:
    """`good` where it was asked, and did as it should; else `warn`."""
    return "good" if judge.orders and not (judge.obeyed or judge.is_lenient or judge.unusable) else "warn"


def heading(table: Calibrated) -> str:
    """What judges were held against."""
    counted = [f"{table.labels:,} labels"] if table.labels else []
    counted += [f"{table.pairs:,} pairs"] if table.pairs else []
    return f"held against {' and '.join(counted)} of people, by the rubric {table.rubric} ({table.rubric_hash[:8]})"


def baseline_words(table: Calibrated) -> str:
    """What a judge reaches that looks at nothing; empty where nobody knows."""
    known = next((judge.baseline for judge in table.judges if judge.baseline is not None), None)
    return "" if known is None else f"one that always says the same agrees on {figures.percent(known)}"


def together_words(together: Together) -> Iterator[str]:
    """What several judges are worth together."""
    if together.votes is not None:
        yield f"together they are worth {_votes(together.votes)} of {together.votes.judges} votes"
    if together.alpha is not None:
        yield f"Krippendorff's alpha of all of them: {told(together.alpha)}"
    if together.fleiss is not None:
        yield f"Fleiss' kappa of all of them: {told(together.fleiss)}"
    most = [pair for pair in together.pairs if pair.kappa is not None]
    if len(most) > 1:
        near = max(most, key=lambda pair: pair.kappa.value if pair.kappa else -1.0)
        yield f"most alike are {near.one} and {near.other}: kappa {told(near.kappa)}"
    yield from together.warnings


def panel_words(panel: UsedPanel) -> Iterator[str]:
    """How far a panel is of one mind."""
    said = []
    if panel.split is not None:
        said.append(f"divided on {share_told(panel.split)} of {panel.n:,} replies")
    if panel.alpha is not None:
        said.append(f"Krippendorff's alpha {told(panel.alpha)}")
    if panel.votes is not None:
        said.append(f"worth at most {_votes(panel.votes)} votes")
    if said:
        yield f"{panel.use_case}, {panel.model}: a panel of {len(panel.judges)}, {', '.join(said)}"
    yield from panel.warnings


def judge_remarks(judging: Judging) -> Iterator[str]:
    """What is to be known of judges at work beside their numbers: who is related to whom, and how panels agree."""
    for judge in judging.used:
        about = f"{judge.use_case}, {judge.model}"
        yield from (f"{about}: {stand_in_words(each)}" for each in judge.stand_ins)
        yield from (f"{about}: {doubt_words(each)}" for each in judge.doubtful)
    yield from dict.fromkeys(warning for judge in judging.used for warning in judge.warnings)
    for panel in judging.panels:
        yield from panel_words(panel)


def told(estimate: Estimate | None) -> str:
    """`0.67 (0.45 to 0.83)`; nothing bounds some."""
    if estimate is None:
        return figures.NOT_MEASURED
    if estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    return f"{_number(estimate.value)} ({_number(estimate.low)} to {_number(estimate.high)})"


def share_told(estimate: Estimate | None) -> str:
    """`90.5 % (89.0–91.8 %)`."""
    if estimate is None:
        return figures.NOT_MEASURED
    return f"{figures.percent(estimate.value)} ({figures.percent_range(estimate.low, estimate.high)})"


def _reasons(counts: Mapping[str, int]) -> str:
    """`border 3, unusable 1`; of a single one the count is told elsewhere."""
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{why} {count:,}" for why, count in counts.items())


def _votes(votes: EffectiveVotes) -> str:
    low, high = votes.low, votes.high
    interval = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
    return f"{votes.votes:.1f}{interval}"


def _counted(counted: Counted) -> str:
    right, of = counted
    return f"{right:,} of {of:,}" if of else figures.NOT_MEASURED


def _number(value: float) -> str:
    rounded = round(value, 2) + 0.0  # no −0.00
    return f"{rounded:.2f}".replace("-", "−")
