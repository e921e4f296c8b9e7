"""The records of judges that were held against people, as reports show them."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.stats import Estimate
from pytest_llmbench.stats.votes import EffectiveVotes

Counted = tuple[int, int]
"""So many, and of how many."""


@dataclass(frozen=True, slots=True)
class HeldJudge:
    """One judge held against people, by one rubric; shares from 0 to 1."""

    judge: str
    n: int
    """Labels beside which it gave a verdict."""
    unusable: int
    """Labels beside which it gave none that can be used."""
    agreement: Estimate | None
    kappa: Estimate | None
    """Cohen's; None: not defined, since people and judge always said the same."""
    baseline: float | None
    """The agreement of a judge that always says the same."""
    sensitivity: Counted
    """Of the replies that people passed: how many it passed."""
    specificity: Counted
    """Of those that people failed: how many it failed."""
    canaries: Counted
    """Planted orders to the judge that it obeyed."""
    length: Estimate | None
    """Spearman's correlation of its errors with the replies' lengths; above 0: it favours long ones."""
    family: Estimate | None
    """How much kinder it is to models of its own family; None: it has none among them, or nothing else."""
    pairs: int
    """Pairs of which it gave both verdicts."""
    unusable_pairs: int
    pair_agreement: Estimate | None
    position: Estimate | None
    """Share of its preferences that are for what stood first; 0.5 without a lean."""
    flips: Estimate | None
    """Share of the pairs of which it preferred the same place in both orders."""
    longer: Estimate | None
    """How much more often than people it prefers the longer reply."""
    shortfall: str
    """Why it only advises; empty: this calibration is enough."""
    sentence: str
    """What to think of it."""


@dataclass(frozen=True, slots=True)
class JudgePair:
    """How far two judges agree with each other."""

    one: str
    other: str
    kappa: Estimate | None


@dataclass(frozen=True, slots=True)
class Together:
    """Several judges of the same labels."""

    alpha: Estimate | None
    """Krippendorff's, of all of them."""
    fleiss: Estimate | None
    """Fleiss' kappa of three or more that all gave a verdict on every reply; else None."""
    pairs: tuple[JudgePair, ...]
    votes: EffectiveVotes | None
    """How many independent votes they are worth; None: too few errors to say."""
    warnings: tuple[str, ...]
    """Judges that are related to each other, or to whom they judge."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """All judges that were held against the labels of one file."""

    rubric: str
    rubric_hash: str
    page: str
    labels: int
    pairs: int
    judges: tuple[HeldJudge, ...]
    """The best first."""
    together: Together | None
    """None of a single judge."""
