"""What damage to inputs does to models: each sample with damage against the same sample without, and no other pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.results.asked_samples import Asked
from pytest_llmbench.results.calls import Batch, Calls
from pytest_llmbench.results.costs import Costs
from pytest_llmbench.stats import Estimate, paired_binary, score_estimate, share_estimate


@dataclass(frozen=True, slots=True)
class RobustRow:
    """One model under one corruption."""

    model: str
    prompt: str
    """The prompt's variant."""
    corruption: str
    asked: int
    """Samples that were asked with damage."""
    n: int
    """Pairs: samples with a result both ways."""
    clean: Estimate | None
    """Pass rate of the pairs without damage; mean score where nothing passes or fails."""
    damaged: Estimate | None
    difference: float | None
    """With damage − without, −1 to 1."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    p_value: float | None
    """Exact McNemar test, two-sided; None of scores, and where samples have weights."""
    robustness: Estimate | None
    """Share of the samples right without damage that stay right."""
    turned_wrong: tuple[str, ...]
    """Ids of the samples right without damage and wrong with it."""
    turned_right: tuple[str, ...]
    costs: Costs
    """Of the calls with damage."""


@dataclass(frozen=True, slots=True)
class _Pair:
    clean: Asked
    damaged: Asked

    @property
    def verdicts(self) -> tuple[bool, bool] | None:
        """(right without damage, right with it); None where one of both is not known."""
        clean, damaged = self.clean.passed, self.damaged.passed
        return None if clean is None or damaged is None else (clean, damaged)

    @property
    def bound_verdicts(self) -> tuple[bool, bool] | None:
        """As `verdicts`, without what judges said that only advise."""
        clean, damaged = self.clean.bound_passed, self.damaged.bound_passed
        return None if clean is None or damaged is None else (clean, damaged)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Of pairs, see `RobustRow`."""

    n: int
    clean: Estimate | None
    damaged: Estimate | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def is_clean(asked: Asked) -> bool:
    """Whether it was asked as it is."""
    return not asked.found.corruption


def robust_rows(asked: Sequence[Asked], calls: Calls, quality: str) -> tuple[RobustRow, ...]:
    """A row for each corruption of one model and prompt, in the order in which they came.

    Args:
        asked: its samples, with damage and without.
        calls: what calls cost.
        quality: `pass_rate`, or `score` where nothing passes or fails.
    """
    clean = {each.found.sample: each for each in asked if is_clean(each)}
    damaged: dict[str, list[Asked]] = {}
    for each in asked:
        if not is_clean(each):
            damaged.setdefault(each.found.corruption, []).append(each)
    return tuple(_row(label, some, clean, calls, quality) for label, some in damaged.items())


def robustness(asked: Iterable[Asked], *, bound: bool = False) -> Estimate | None:
    """The share of the samples right without damage that stay right with it, over all corruptions of one model.

    Several corruptions of a sample tell less than as many samples: its share of them that it stood counts once.

    Args:
        asked: its samples, with damage and without.
        bound: whether judges that only advise have no say.
    """
    known = list(asked)
    clean = {each.found.sample: each for each in known if is_clean(each)}
    stood: dict[str, list[bool]] = {}
    for pair in _pairs((each for each in known if not is_clean(each)), clean):
        verdicts = pair.bound_verdicts if bound else pair.verdicts
        if verdicts and verdicts[0]:
            stood.setdefault(pair.clean.found.sample, []).append(verdicts[1])
    weights = [clean[id_].weight for id_ in stood]
    return score_estimate([sum(verdicts) / len(verdicts) for verdicts in stood.values()], weights)


def _pairs(damaged: Iterable[Asked], clean: Mapping[str, Asked]) -> list[_Pair]:
    return [_Pair(clean[each.found.sample], each) for each in damaged if each.found.sample in clean]


def _row(label: str, damaged: Sequence[Asked], clean: Mapping[str, Asked], calls: Calls, quality: str) -> RobustRow:
    pairs = _pairs(damaged, clean)
    known = [(pair, pair.verdicts) for pair in pairs if pair.verdicts is not None]
    right = [(pair, verdicts[1]) for pair, verdicts in known if verdicts[0]]
    found = _of_scores(pairs) if quality == "score" else _of_verdicts(pairs)
    return RobustRow(
        model=damaged[0].model,
        prompt=damaged[0].found.prompt,
        corruption=label,
        asked=len(damaged),
        n=found.n,
        clean=found.clean,
        damaged=found.damaged,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        robustness=share_estimate([stays for _, stays in right], [pair.clean.weight for pair, _ in right]),
        turned_wrong=tuple(pair.clean.found.sample for pair, verdicts in known if verdicts == (True, False)),
        turned_right=tuple(pair.clean.found.sample for pair, verdicts in known if verdicts == (False, True)),
        costs=calls.of([Batch(each.reply_ids, each.test_keys, each.weight) for each in damaged]).costs,
    )


def _of_verdicts(pairs: Sequence[_Pair]) -> _Compared:
    known = [(verdicts, pair.clean.weight) for pair in pairs if (verdicts := pair.verdicts) is not None]
    clean, damaged = [one[0] for one, _ in known], [one[1] for one, _ in known]
    weights = [weight for _, weight in known]
    before, after = share_estimate(clean, weights), share_estimate(damaged, weights)
    if len(set(weights)) > 1:
        return _weighted(before, after, [float(b) - a for a, b in zip(clean, damaged, strict=True)], weights)
    found = paired_binary(damaged, clean)
    if not found.n:
        return _Compared(0, None, None)
    return _Compared(found.n, before, after, found.difference, found.low, found.high, found.p_value)


def _of_scores(pairs: Sequence[_Pair]) -> _Compared:
    known = [
        (before, after, pair.clean.weight)
        for pair in pairs
        if (before := pair.clean.value) is not None and (after := pair.damaged.value) is not None
    ]
    weights = [weight for *_, weight in known]
    clean = score_estimate([before for before, _, _ in known], weights)
    damaged = score_estimate([after for _, after, _ in known], weights)
    return _weighted(clean, damaged, [after - before for before, after, _ in known], weights)


def _weighted(
    clean: Estimate | None, damaged: Estimate | None, differences: Sequence[float], weights: Sequence[float]
) -> _Compared:
    """The mean of differences from −1 to 1, by the interval that scores from 0 to 1 have."""
    found = score_estimate([(each + 1) / 2 for each in differences], weights)
    if found is None or found.low is None or found.high is None:
        return _Compared(len(differences), clean, damaged)
    return _Compared(len(differences), clean, damaged, 2 * found.value - 1, 2 * found.low - 1, 2 * found.high - 1)
