"""Where more load stops paying: the knee of a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal


def knee(
    xs: Sequence[float],
    ys: Sequence[float | None],
    curve: Literal["concave", "convex"] = "concave",
    sensitivity: float = 1.0,
) -> int | None:
    """The index at which an increasing curve bends most (Kneedle: Satopää et al., ICDCS Workshops 2011).

    Both axes are scaled to 0 … 1; the knee is the point farthest above (concave) or below (convex) the straight line
    from the first to the last x at their scaled heights, if the distance falls by `sensitivity` mean steps of x behind
    it before it rises again. So a straight line, or a curve that was not measured far enough to bend, has none.

    Args:
        xs: the load, in any order (requests a second, users, slots).
        ys: the answer: throughput for a concave curve, latency for a convex one; what is not finite is left out.
        curve: `concave` rises ever more slowly, `convex` ever faster.
        sensitivity: higher is more cautious; 1 is the authors' advice.

    Returns:
        The index in `xs` as given; None where there is no knee, or fewer than 3 different loads.

    Raises:
        ValueError: not as many loads as answers.
    """
    points = sorted(
        (x, y, index)
        for index, (x, y) in enumerate(zip(xs, ys, strict=True))
        if y is not None and math.isfinite(x) and math.isfinite(y)
    )
    lowest, highest = min((y for _, y, _ in points), default=0.0), max((y for _, y, _ in points), default=0.0)
    if len({x for x, _, _ in points}) < 3 or lowest == highest:
        return None
    first, span = points[0][0], points[-1][0] - points[0][0]
    sign = 1 if curve == "concave" else -1
    distances = [sign * ((y - lowest) / (highest - lowest) - (x - first) / span) for x, y, _ in points]
    found = _first_knee(distances, sensitivity / (len(points) - 1))
    return None if found is None else points[found][2]


def _first_knee(distances: Sequence[float], drop: float) -> int | None:
    """The first local maximum behind which the distance falls by more than `drop` before a higher one comes."""
    candidate: int | None = None
    for index in range(1, len(distances)):
        rising = distances[index] > distances[index - 1]
        last = index == len(distances) - 1
        if rising and not last and distances[index] >= distances[index + 1]:
            candidate = index
        elif candidate is not None and distances[index] < distances[candidate] - drop:
            return candidate
    return None
