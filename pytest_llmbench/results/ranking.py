"""Who is best by some criteria, one after another; who cannot be told from them; and who is beaten by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.criteria import SAME_MEMORY, Criterion
from pytest_llmbench.results.duels import Duels
from pytest_llmbench.results.recommendations import NOT_COMPARED
from pytest_llmbench.stats.intervals import finite

FAR_LESS_RIGHT = 0.10
"""Whoever was this much less often right than another is passed over, though chance may explain it: that no difference
was shown is not that there is none. Of 100 answers half of which are right so much is chance (Wilson, 95 %)."""
_FEW_ANSWERS = 2
"""And by more than so many answers: of nine, one is eleven points already."""


@dataclass(frozen=True, slots=True)
class Beaten:
    """Why a candidate is out."""

    by: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the criteria say of some candidates."""

    best: Candidate
    """Of those that cannot be told apart the smallest."""
    ties: tuple[Candidate, ...]
    """The others that no criterion puts behind."""
    beaten: Mapping[str, Beaten]
    """Configuration → by whom, and by what."""
    passed_over: Mapping[Candidate, Beaten]
    """Those that nobody is surely better than, and that were far less often right: than who, by what."""


def ranked(all_of: Sequence[Candidate], criteria: Sequence[Criterion], duels: Duels) -> Ranking:
    """Leave out, criterion by criterion, whoever is surely worse than the best by it.

    Args:
        all_of: at least one.
        criteria: the first one counts most.
        duels: of these candidates, and maybe of others.
    """
    left, beaten, passed_over = list(all_of), dict[str, Beaten](), dict[Candidate, Beaten]()
    for criterion in criteria:
        best = _highest(left, criterion)
        for each in [each for each in left if best is not None and _loses(each, best, criterion, duels)]:
            assert best is not None
            left.remove(each)
            beaten[each.configuration] = Beaten(best.configuration, criterion)
        passed_over |= far_less_right(left, criterion, duels)
        left = [each for each in left if each not in passed_over]
    chosen = smallest(left, criteria)
    return Ranking(chosen, tuple(each for each in left if each is not chosen), beaten, passed_over)


def far_less_right(
    all_of: Sequence[Candidate], criterion: Criterion, duels: Duels, *, than: Candidate | None = None
) -> dict[Candidate, Beaten]:
    """Who was far less often right than another; nobody by a criterion that counts no answers.

    Args:
        all_of: who may be.
        criterion: by which answers.
        duels: of them; who cannot be compared is not.
        than: the other; None: the best of them.
    """
    best = (than or _highest(all_of, criterion)) if criterion.kind == "rate" else None
    if best is None:
        return {}
    told = Beaten(best.configuration, criterion)
    return {each: told for each in all_of if _is_far_below(best, each, criterion, duels)}


def _is_far_below(best: Candidate, candidate: Candidate, criterion: Criterion, duels: Duels) -> bool:
    duel = duels.between(best.configuration, candidate.configuration, criterion)
    most, share = level(best, criterion), level(candidate, criterion)
    if duel is None or duel.verdict == NOT_COMPARED or most is None or share is None:
        return False
    n = len(criterion.values(candidate.measurements[criterion.profile]))
    return round(most - share, 9) > FAR_LESS_RIGHT and round((most - share) * n, 6) > _FEW_ANSWERS


def smallest(all_of: Sequence[Candidate], criteria: Sequence[Criterion]) -> Candidate:
    """The one that takes the least memory; of those that take about as little, the one with the best first figure."""
    taken = sizes(all_of, criteria[0].profile)
    near = [each for each, size in zip(all_of, taken, strict=True) if size <= min(taken) * (1 + SAME_MEMORY)]
    return _highest(near, criteria[0]) or near[0]


def least(best: Candidate, ties: Sequence[Candidate], criteria: Sequence[Criterion]) -> str:
    """Why it was taken and none of its ties: `it is the smaller one`."""
    own, *others = sizes((best, *ties), criteria[0].profile)
    if not own:
        return "nobody tells how much memory they take: the better figure was taken"
    if all(other > own * (1 + SAME_MEMORY) for other in others):
        return "it is the smaller one" if len(others) == 1 else "it is the smallest"
    return "none takes less memory"


def level(candidate: Candidate, criterion: Criterion) -> float | None:
    """The number that a candidate is ranked by; None: not measured."""
    if criterion.metric not in candidate.levels:
        measured = candidate.measurements.get(criterion.profile)
        candidate.levels[criterion.metric] = criterion.level(measured) if measured else None
    return candidate.levels[criterion.metric]


def sizes(all_of: Sequence[Candidate], profile: str) -> list[float]:
    """Peak memory of each, with that on graphics cards, else the size of its file; all alike where neither is known of
    all."""
    for read in (lambda each: _taken(each, profile), lambda each: each.size_bytes):
        found = finite(map(read, all_of))
        if len(found) == len(all_of):
            return found
    return [0.0] * len(all_of)


def _taken(candidate: Candidate, profile: str) -> float | None:
    main = candidate.memory_bytes(profile)
    return None if main is None else main + (candidate.vram_bytes(profile) or 0.0)


def _highest(all_of: Sequence[Candidate], criterion: Criterion) -> Candidate | None:
    """The first of the best; None: it was measured of none."""
    sign = 1 if criterion.higher_is_better else -1
    known = [(sign * value, each) for each in all_of if (value := level(each, criterion)) is not None]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _loses(candidate: Candidate, best: Candidate, criterion: Criterion, duels: Duels) -> bool:
    if candidate is best:
        return False
    if criterion.kind != "exact":
        return duels.is_worse(best.configuration, candidate.configuration, criterion)
    here, there = level(candidate, criterion), level(best, criterion)
    return here is not None and there is not None and abs(here - there) > criterion.same * abs(there)
