"""Between quality, speed and memory: what nothing else beats, and which of these to take where nothing else is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.results.advice_words import amount, listed
from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.criteria import ACCURACY, DECODE, SAME_MEMORY
from pytest_llmbench.results.duels import Duels
from pytest_llmbench.results.ranking import far_less_right, least, smallest
from pytest_llmbench.results.recommendations import FAST_ENOUGH_TPS, Pick, Standing


@dataclass(frozen=True, slots=True)
class _Figures:
    right: float
    """Share of the answers."""
    tps: float
    memory: float
    """Main memory at its peak; infinite where nobody tells it."""
    vram: float
    """The same of graphics cards; 0 where nobody tells it."""


def standings(all_of: Sequence[Candidate], duels: Duels) -> tuple[Standing, ...]:
    """Where each stands, in their order.

    One is on the front unless another one has at least its figures in all three, and one of these is surely better.
    What was not measured in full is on no front.
    """
    found = ((each.configuration, _figures(each)) for each in all_of)
    known = {name: figures for name, figures in found if figures is not None}
    beaten = {name: tuple(each for each in known if _beats(each, name, known, duels)) for name in known}
    return tuple(_standing(each, beaten.get(each.configuration)) for each in all_of)


def best_balanced(all_of: Sequence[Candidate], stand: Sequence[Standing], duels: Duels) -> Pick | None:
    """Of the front the one with the highest quality-adjusted speed, or the smallest of those that are not told from it
    and were about as often right.

    Args:
        all_of: the candidates.
        stand: their standings.
        duels: of these candidates.
    """
    adjusted = {each.configuration: each.quality_adjusted_tps or 0.0 for each in stand if each.is_on_front}
    front = [each for each in all_of if each.configuration in adjusted]
    if not front or len([each for each in stand if each.quality_adjusted_tps is not None]) < 2:
        return None
    highest = max(front, key=lambda each: adjusted[each.configuration])
    alike = [each for each in front if each is highest or not _differ(highest, each, duels)]
    passed_over = far_less_right(alike, ACCURACY, duels, than=highest)
    alike = [each for each in alike if each not in passed_over]
    chosen = smallest(alike, (ACCURACY,))
    others = [each for each in alike if each is not chosen]
    ties = tuple(each.configuration for each in others)
    own = next(each for each in stand if each.configuration == chosen.configuration)
    return Pick(
        use="balanced",
        title="best balanced",
        configuration=chosen.configuration,
        measurement_ids=tuple(measured.id for measured in chosen.measurements.values()),
        sentence=_sentence(chosen, others, len(front)),
        evidence=tuple(_evidence(own)),
        ties=ties,
        why_not=tuple(_why_not(chosen, each, stand) for each in stand if _is_behind(each, own, ties)),
    )


def _standing(candidate: Candidate, beaten_by: tuple[str, ...] | None) -> Standing:
    right, tps = candidate.right, candidate.decode_tps()
    adjusted = None if right is None or tps is None else right.share * min(tps, FAST_ENOUGH_TPS)
    return Standing(
        candidate.configuration,
        right.share if right else None,
        tps,
        candidate.memory_bytes(),
        adjusted,
        is_on_front=beaten_by == (),
        beaten_by=beaten_by or (),
        vram_bytes=candidate.vram_bytes(),
    )


def _figures(candidate: Candidate) -> _Figures | None:
    right, tps = candidate.right, candidate.decode_tps()
    if right is None or tps is None:
        return None
    return _Figures(right.share, tps, candidate.memory_bytes() or math.inf, candidate.vram_bytes() or 0.0)


def _beats(one: str, other: str, known: Mapping[str, _Figures], duels: Duels) -> bool:
    own, their = known[one], known[other]
    takes = [(own.memory, their.memory), (own.vram, their.vram)]
    if one == other or own.right < their.right or own.tps < their.tps or any(map(_is_more, takes)):
        return False
    takes_less = any(_is_more((theirs, ours)) for ours, theirs in takes)
    return takes_less or any(duels.is_worse(one, other, each) for each in (ACCURACY, DECODE))


def _is_more(sizes: tuple[float, float]) -> bool:
    """Whether the first size is more than the second, by more than the same thing differs by."""
    return sizes[0] > sizes[1] * (1 + SAME_MEMORY)


def _differ(one: Candidate, other: Candidate, duels: Duels) -> bool:
    """Whether the two surely differ in quality, or in speed that anybody notices."""
    names = one.configuration, other.configuration
    if duels.is_worse(*names, ACCURACY) or duels.is_worse(names[1], names[0], ACCURACY):
        return True
    both_fast = all((each.decode_tps() or 0.0) >= FAST_ENOUGH_TPS for each in (one, other))
    return not both_fast and (duels.is_worse(*names, DECODE) or duels.is_worse(names[1], names[0], DECODE))


def _sentence(chosen: Candidate, ties: Sequence[Candidate], on_front: int) -> str:
    told = f"{chosen.configuration} balances quality, speed and memory best"
    if ties:
        named = listed([each.configuration for each in ties])
        why = least(chosen, ties, (ACCURACY,))
        return f"{told}: no difference from {named} in quality or noticeable speed was shown, and {why}"
    if on_front == 1:
        return f"{told}: nothing else is better in any of the three without being worse in another"
    return f"{told}, by right answers times speed"


def _evidence(own: Standing) -> list[str]:
    memory = [f"peak memory {amount(own.memory_bytes, 'B')}"] if own.memory_bytes else []
    memory += [f"peak graphics memory {amount(own.vram_bytes, 'B')}"] if own.vram_bytes else []
    right, speed = _known(own.accuracy, "share"), _known(own.decode_tps, "tok/s")
    adjusted = _known(own.quality_adjusted_tps, "tok/s")
    bound = f"speed counts up to {FAST_ENOUGH_TPS:g} tok/s"
    return [
        f"{right} of the questions right",
        f"decode speed {speed}",
        *memory,
        f"quality-adjusted {adjusted} ({bound})",
    ]


def _known(value: float | None, unit: str) -> str:
    assert value is not None, "only what was measured in full is on the front, or behind it"
    return amount(value, unit)


def _is_behind(each: Standing, own: Standing, ties: tuple[str, ...]) -> bool:
    is_other = each.configuration != own.configuration and each.configuration not in ties
    return is_other and each.quality_adjusted_tps is not None


def _why_not(chosen: Candidate, each: Standing, stand: Sequence[Standing]) -> str:
    if each.beaten_by:
        return (
            f"{each.configuration} is beaten by {listed(each.beaten_by)} in quality, speed or memory, and ahead in none"
        )
    own = next(one.quality_adjusted_tps for one in stand if one.configuration == chosen.configuration)
    sizes = f"{_known(each.quality_adjusted_tps, 'tok/s')} against {_known(own, 'tok/s')}"
    return f"{each.configuration}: quality-adjusted speed {sizes}"
