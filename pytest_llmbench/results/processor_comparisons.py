"""The same model on the graphics card and on the CPU: two configurations whose servers differ in nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from pytest_llmbench.results.advice_words import detectable, duel_sentence
from pytest_llmbench.results.candidates import Candidate
from pytest_llmbench.results.criteria import TESTED
from pytest_llmbench.results.duels import Duel, Duels
from pytest_llmbench.results.recommendations import QuantComparison
from pytest_llmbench.stats.log_ratios import log_ratio

_LAYERS = "gpu_layers"


def processor_comparisons(all_of: Sequence[Candidate], duels: Duels) -> tuple[QuantComparison, ...]:
    """Each configuration with layers on a card beside the one of the same model and settings with none there."""
    rows = []
    for card in all_of:
        if not _layers(card) or card.stayed_on_cpu:
            continue
        for cpu in all_of:
            if cpu.model == card.model and not _layers(cpu) and _others(cpu) == _others(card):
                rows += [_row(duel, card, duels.tested) for duel in _speeds(cpu, card, duels)]
    return tuple(rows)


def _speeds(cpu: Candidate, card: Candidate, duels: Duels) -> Iterator[Duel]:
    found = (duels.between(cpu.configuration, card.configuration, each) for each in TESTED if each.kind == "ratio")
    yield from (duel for duel in found if duel is not None)


def _row(duel: Duel, card: Candidate, tested: int) -> QuantComparison:
    ratio = log_ratio(duel.before, duel.after)
    is_bounded = math.isfinite(ratio.high)
    return QuantComparison(
        family=card.family,
        configuration=duel.other,
        reference=duel.one,
        metric=duel.criterion.metric,
        part="",
        value=None if duel.is_refused else math.expm1(duel.change),
        low=ratio.low - 1 if is_bounded else None,
        high=ratio.high - 1 if is_bounded else None,
        n=duel.n,
        p_corrected=None if math.isnan(duel.p_corrected) else duel.p_corrected,
        smallest_detectable=None if duel.is_refused else detectable(duel, tested),
        verdict=duel.verdict,
        sentence=f"graphics card against CPU: {duel_sentence(duel, tested)}",
    )


def _layers(candidate: Candidate) -> int:
    return int(candidate.subject.get(_LAYERS) or 0)


def _others(candidate: Candidate) -> str:
    subject = {name: value for name, value in candidate.subject.items() if name != _LAYERS}
    return json.dumps(subject, sort_keys=True, default=str)
