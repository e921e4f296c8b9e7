"""What differs between two configurations, and what one of them does, in words."""

from __future__ import annotations

import math

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.words import figure, seconds
from pytest_llmbench.results.duels import ALPHA, Duel
from pytest_llmbench.results.recommendations import NOT_COMPARED, TIE
from pytest_llmbench.stats.differences import Difference
from pytest_llmbench.stats.effects import cohen_h, word_of
from pytest_llmbench.stats.log_ratios import detectable_ratio, log_ratio
from pytest_llmbench.stats.paired import smallest_detectable, tango_interval
from pytest_llmbench.stats.sentences import Beside, difference_sentence, ratio_sentence

_GIB, _MIB = 1 << 30, 1 << 20


def duel_sentence(duel: Duel, tested: int) -> str:
    """What is known of `other` beside `one`: a difference with its interval, or from where on one would have shown.

    Args:
        duel: any.
        tested: how many comparisons were tested together.
    """
    title = METRICS[duel.criterion.metric].title
    named = f"{title} ({duel.part})" if duel.part else title
    if duel.verdict == NOT_COMPARED:
        return f"{duel.other} and {duel.one} are not compared by {named}: {duel.why}"
    if duel.verdict != TIE:
        return f"{difference(duel)}; by {named}"
    told = f"no difference in {named} between {duel.one} and {duel.other} detectable at n = {duel.n}"
    is_sure = not math.isnan(duel.p_corrected) and duel.p_corrected < ALPHA
    if is_sure and duel.why:
        return f"{told}: {duel.why}"
    if is_sure:
        return f"{told}: {changed(duel)} is within the {duel.least:.0%} that measurements of the same thing differ by"
    seen = would_show(duel, tested)
    return f"{told} ({f'one of {seen} would have shown' if seen else 'too few to show any'})"


def difference(duel: Duel) -> str:
    """`B is 12 points worse than A (95 %: 4 to 20; n = 108 paired; Holm p = 0.01; small effect)`."""
    beside = Beside(duel.one, duel.other, p_value=duel.p_corrected, correction="Holm")
    if duel.criterion.kind == "ratio":
        more, less = duel.criterion.words
        return ratio_sentence(log_ratio(duel.before, duel.after), beside, more=more, less=less)
    shares = [math.fsum(side) / duel.n for side in (duel.before, duel.after)]
    effect = word_of(cohen_h(shares[0], shares[1]), "h")
    return difference_sentence(rates(duel), Beside(duel.one, duel.other, True, duel.p_corrected, "Holm", effect))


def rates(duel: Duel) -> Difference:
    """A duel of right and wrong with its interval (Tango's)."""
    pairs = list(zip(duel.before, duel.after, strict=True))
    gained, lost = sum(new > old for old, new in pairs), sum(new < old for old, new in pairs)
    low, high = tango_interval(gained, lost, duel.n)
    return Difference(duel.change, low, high, duel.n, duel.p_value, 1.0, 1.0, None)


def detectable(duel: Duel, tested: int) -> float | None:
    """The smallest change that so many pairs find beside so many other comparisons; None: none would be."""
    alpha = ALPHA / max(tested, 1)
    if duel.criterion.kind == "ratio":
        found = detectable_ratio(duel.before, duel.after, alpha=alpha)
        return None if found is None else max(found, duel.least)
    differing = sum(old != new for old, new in zip(duel.before, duel.after, strict=True))
    return smallest_detectable(duel.n, differing / duel.n, alpha)


def would_show(duel: Duel, tested: int) -> str:
    """`25 points`: from which size on a difference would have been seen; empty where none would."""
    found = detectable(duel, tested)
    if found is None:
        return ""
    return f"{100 * found:.0f} points" if duel.criterion.kind == "rate" else f"{found:.0%}"


def changed(duel: Duel) -> str:
    """`+8 %`, `−3 points`."""
    share = duel.change if duel.criterion.kind == "rate" else math.expm1(duel.change)
    return f"{100 * share:+.0f} {'points' if duel.criterion.kind == 'rate' else '%'}".replace("-", "−")


def amount(value: float, unit: str) -> str:
    """`92 tok/s`, `212 ms`, `31 %`, `261 MiB`, `4,096 tokens`; `1419` where the name tells its unit (per hour)."""
    if unit == "s":
        return seconds(value)
    if unit == "share":
        return f"{100 * value:.0f} %"
    if unit == "B":
        return memory(value)
    if unit == "tokens":
        return f"{value:,.0f} tokens"
    return figure(value) if unit == "1/h" else f"{figure(value)} {unit}".rstrip()


def memory(count: float) -> str:
    """`261 MiB`, `7.8 GiB`."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """`A`, `A and B`, `A, B and C`; of many the first few and how many more."""
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


_MOST_NAMES = 4
