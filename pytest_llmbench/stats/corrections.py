"""Several p-values at once: what each one is worth beside the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Each times how many there are (Dunn, J. Am. Stat. Assoc. 56, 1961, p. 52): holds for whatever dependence.

    Args:
        p_values: 0 to 1; NaN is a test that was not made: it stays NaN and counts for nothing.

    Returns:
        Corrected ones in the same order; below alpha at all, where nothing changed, with a chance of at most alpha.
    """
    return _corrected(p_values, lambda ordered: [p * len(ordered) for p in ordered])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scand. J. Stat. 6, 1979, p. 65): as strict as Bonferroni's as a whole, and bolder.

    Args:
        p_values: see `bonferroni`.
    """
    return _corrected(p_values, _stepped_down)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Corrected for the share of false ones among those called (J. R. Stat. Soc. B 57, 1995, p. 289).

    For lists that are looked through, not for gates: of ten calls at 5 %, every second list has a false one.

    Args:
        p_values: see `bonferroni`; independent of each other, or positively dependent.
    """
    return _corrected(p_values, _stepped_up)


def _corrected(p_values: Sequence[float], step: Callable[[list[float]], list[float]]) -> list[float]:
    order = sorted((place for place, p in enumerate(p_values) if not math.isnan(p)), key=lambda place: p_values[place])
    found = [math.nan] * len(p_values)
    for place, corrected in zip(order, step([p_values[place] for place in order]), strict=True):
        found[place] = min(1.0, corrected)
    return found


def _stepped_down(ordered: list[float]) -> list[float]:
    largest, found = 0.0, []
    for place, p in enumerate(ordered):
        largest = max(largest, p * (len(ordered) - place))
        found.append(largest)
    return found


def _stepped_up(ordered: list[float]) -> list[float]:
    smallest, found = 1.0, []
    for rank in range(len(ordered), 0, -1):
        smallest = min(smallest, ordered[rank - 1] * len(ordered) / rank)
        found.append(smallest)
    return found[::-1]
