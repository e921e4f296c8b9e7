"""Figures of the lines before models: what is under way, what holds them up, how ill a model is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from pytest_llmbench.observe import families
from pytest_llmbench.observe.exposition import Labels, Number
from pytest_llmbench.observe.families import Family
from pytest_llmbench.observe.tally import seconds
from pytest_llmbench.records import LaneState
from pytest_llmbench.store.watched import Standing

_STATES = ("closed", "half-open", "open")
"""The worst last."""


def figures_of_lanes(
    standing: Standing, label: Callable[[str], str], now_s: float
) -> dict[Family, Mapping[Labels, Number]]:
    """The figures, by model; several accounts of one are put together.

    Args:
        standing: how the runs stand.
        label: makes a model's name the value of a label.
        now_s: since 1970.
    """
    by_model: defaultdict[str, list[LaneState]] = defaultdict(list)
    for lane in standing.lanes:
        by_model[label(lane.model)].append(lane)
    counted = _counted(standing, label)
    if not standing.runs or standing.runs[0].finished_at is not None:
        return counted  # nothing is under way any more
    return counted | {
        families.IN_FLIGHT: {(model,): sum(lane.in_flight for lane in lanes) for model, lanes in by_model.items()},
        families.LIMIT: {(model,): sum(lane.limit for lane in lanes) for model, lanes in by_model.items()},
        families.WAITING: {(model,): sum(lane.waiting for lane in lanes) for model, lanes in by_model.items()},
        families.HELD: {(model,): _held_s(lanes, now_s) for model, lanes in by_model.items()},
        families.BREAKER: {
            (model, state): int(state == _worst(lanes)) for model, lanes in by_model.items() for state in _STATES
        },
        families.RETRIES_LEFT: {
            (model,): left for model, lanes in by_model.items() if (left := _left(lanes)) is not None
        },
        families.LANE_AGE: {(model,): _age_s(lanes, now_s) for model, lanes in by_model.items()},
    }


def _counted(standing: Standing, label: Callable[[str], str]) -> dict[Family, Mapping[Labels, Number]]:
    opened, cuts = Counter[Labels](), Counter[Labels]()
    for model, trouble in standing.trouble.items():
        opened[(label(model),)] += trouble.opened
        cuts[(label(model),)] += trouble.cuts
    return {families.BREAKER_OPENED: opened, families.CUTS: cuts}


def _held_s(lanes: Sequence[LaneState], now_s: float) -> float:
    until = [seconds(lane.held_until) for lane in lanes if lane.held_until]
    return round(max([0.0, *(moment - now_s for moment in until)]), 3)


def _worst(lanes: Sequence[LaneState]) -> str:
    return max((lane.breaker for lane in lanes if lane.breaker in _STATES), key=_STATES.index, default="closed")


def _left(lanes: Sequence[LaneState]) -> float | None:
    return min((lane.retries_left for lane in lanes if lane.retries_left is not None), default=None)


def _age_s(lanes: Sequence[LaneState], now_s: float) -> float:
    return round(max(0.0, now_s - max(seconds(lane.at) for lane in lanes)), 3)
