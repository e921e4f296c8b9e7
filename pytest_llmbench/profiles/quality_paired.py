"""One quantization beside another of the same model: the same items, answer by answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.models.gguf_types import TENSOR_TYPES
from pytest_llmbench.models.names import is_path
from pytest_llmbench.profiles.quality_answers import Answer, answers
from pytest_llmbench.records import Measurement
from pytest_llmbench.stats import PairedBinary, paired_binary

SIGNIFICANT = 0.05
NOT_COMPARED_BY = frozenset({"reference", "subject"})
"""Settings that two measurements of the same questions may differ in."""

_QUANT = re.compile(
    r"(?:^|[-._:/])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_0|MXFP4(?:_MOE)?|NVFP4|BF16|F?P?16|F?P?32))$", re.IGNORECASE
)
_REQUANTIZED = re.compile(r" \(requantized from .*\)$")
_BITS: Mapping[str, float] = {name: 8 * size / block for name, block, size in TENSOR_TYPES.values()}
_MIX = {"XXS": -0.2, "XS": -0.1, "S": 0.0, "M": 0.3, "L": 0.6, "XL": 0.7}
"""How a mix of tensor types stands to the type it is named after, in bits a weight; roughly, for their order only."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the items, compared."""

    name: str
    pairs: PairedBinary
    """`a` is this one, `b` the reference."""
    p_adjusted: float
    """After Holm's correction, where the part is one of several categories."""

    @property
    def verdict(self) -> str:
        """Worse and better are significant; all else is noise as far as anybody can tell."""
        if self.p_adjusted >= SIGNIFICANT:
            return "no difference detectable"
        return "worse" if self.pairs.difference < 0 else "better"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measurement beside its reference."""

    here: str
    reference: str
    overall: Part
    categories: tuple[Part, ...]
    lost: tuple[str, ...]
    """Items that only the reference got right."""
    won: tuple[str, ...]
    left_out: int
    """Items that one of the two was not scored on."""

    @property
    def degraded(self) -> bool:
        """Whether the answers are significantly worse, over all or in a category."""
        return any(part.verdict == "worse" for part in (self.overall, *self.categories))


def family(model: str) -> tuple[str, str]:
    """A model's name without its quantization, in lower case; and the quantization, empty where none is told.

    `smollm2-135m:Q8_0 (requantized from Q4_1)` and `./models/SmolLM2-135M-Q4_1.gguf` are of one family.
    """
    bare = _REQUANTIZED.sub("", model)
    bare = Path(bare).stem if is_path(bare) else bare
    found = _QUANT.search(bare)
    return (bare[: found.start()].casefold(), found[1].upper()) if found else (bare.casefold(), "")


def bits(quant: str) -> float | None:
    """About how many bits a weight has, to order quantizations; None where the name does not tell."""
    name = quant.upper().removeprefix("UD-").replace("FP16", "F16").replace("FP32", "F32")
    base = max((known for known in _BITS if name.startswith(known)), key=len, default="")
    if not base:
        digits = re.match(r"I?Q(\d)", name)
        return float(digits[1]) if digits else None
    return _BITS[base] + _MIX.get(name[len(base) :].strip("_"), 0.0)


def find_reference(here: Measurement, earlier: Sequence[Measurement]) -> tuple[Measurement | None, str]:
    """What a measurement is compared with, and why there is nothing where there is nothing.

    Args:
        here: the measurement; its setting `reference` names the one to take, if any.
        earlier: the run's others of this profile, in their order.
    """
    others = [m for m in earlier if m.model != here.model]
    named = str(here.settings.get("reference") or "")
    if named:
        return _named(here, others, named)
    mine = bits(family(here.model)[1])
    larger = [m for m in others if _same_family(m, here) and _same_questions(m, here) and _more_bits(m.model, mine)]
    best = max(reversed(larger), key=lambda m: bits(family(m.model)[1]) or 0, default=None)
    return best, ""


def compared_with_this(here: Measurement, earlier: Sequence[Measurement]) -> list[Measurement]:
    """The run's earlier measurements that would have had this one for a reference, had it been there."""
    if here.settings.get("reference"):
        return []
    mine = bits(family(here.model)[1])
    latest = {
        m.model: m
        for m in earlier
        if _same_family(m, here) and _same_questions(m, here) and not m.settings.get("reference")
    }
    ranked = {name: bits(family(name)[1]) for name in latest}
    if mine is None or any(rank is None or rank >= mine for rank in ranked.values()):
        return []
    return list(latest.values())


def compare(here: Measurement, reference: Measurement) -> Comparison | None:
    """The answers of both, paired by item; None where no item was scored in both."""
    mine, theirs = answers(here), answers(reference)
    shared = [item for item in mine if item in theirs]
    scored = [item for item in shared if mine[item].correct is not None and theirs[item].correct is not None]
    if not scored:
        return None
    overall = _paired(scored, mine, theirs)
    return Comparison(
        here=here.model,
        reference=reference.model,
        overall=Part("all", overall, overall.p_value),
        categories=_categories(scored, mine, theirs),
        lost=tuple(item for item in scored if theirs[item].correct and not mine[item].correct),
        won=tuple(item for item in scored if mine[item].correct and not theirs[item].correct),
        left_out=len(mine.keys() | theirs.keys()) - len(scored),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6): the chance of any false alarm is kept."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return adjusted


def _categories(scored: list[str], mine: Mapping[str, Answer], theirs: Mapping[str, Answer]) -> tuple[Part, ...]:
    names = list(dict.fromkeys(mine[item].category for item in scored))
    pairs = [_paired([i for i in scored if mine[i].category == name], mine, theirs) for name in names]
    adjusted = holm([each.p_value for each in pairs])
    return tuple(Part(*row) for row in zip(names, pairs, adjusted, strict=True))


def _paired(items: list[str], mine: Mapping[str, Answer], theirs: Mapping[str, Answer]) -> PairedBinary:
    return paired_binary([bool(mine[i].correct) for i in items], [bool(theirs[i].correct) for i in items])


def _named(here: Measurement, others: list[Measurement], named: str) -> tuple[Measurement | None, str]:
    found = [m for m in others if _is_named(m, here, named)]
    if not found:
        return None, f"not compared with {named}: this run has no earlier quality measurement of it"
    same = [m for m in found if _same_questions(m, here)]
    if not same:
        differs = ", ".join(_differences(found[-1], here))
        return None, f"not compared with {named}: it was measured with another {differs}"
    return same[-1], ""


def _is_named(other: Measurement, here: Measurement, named: str) -> bool:
    """By its whole name, with or without where it was requantized from; or by its quantization alone."""
    wanted = named.casefold()
    if wanted in {other.model.casefold(), _REQUANTIZED.sub("", other.model).casefold()}:
        return True
    return _same_family(other, here) and family(other.model)[1] == named.upper()


def _same_family(one: Measurement, other: Measurement) -> bool:
    return one.model != other.model and family(one.model)[0] == family(other.model)[0]


def _same_questions(one: Measurement, other: Measurement) -> bool:
    return not _differences(one, other)


def _differences(one: Measurement, other: Measurement) -> list[str]:
    names = (one.settings.keys() | other.settings.keys()) - NOT_COMPARED_BY - {"logprob_text"}
    return sorted(name for name in names if one.settings.get(name) != other.settings.get(name))


def _more_bits(model: str, than: float | None) -> bool:
    found = bits(family(model)[1])
    return found is not None and than is not None and found > than
