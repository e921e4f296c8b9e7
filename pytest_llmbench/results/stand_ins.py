"""Judges that are routes: who of a route judged, in whose place, and whose verdicts stand in spite of a doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import dropwhile, takewhile
from typing import Any

from pytest_llmbench.records import Score


@dataclass(frozen=True, slots=True)
class StandIn:
    """A model of a route that judged in place of another."""

    model: str
    count: int
    """Verdicts of it."""
    of: int
    """Of how many."""
    instead_of: str
    """Who was asked before."""
    why: Mapping[str, int]
    """Category of the failure, or the doubt → how often."""
    unsure: bool
    """Whether that one answered, and was in doubt; else it failed."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Verdicts that left a doubt and count all the same, as no stronger model gave another."""

    model: str
    count: int
    """Such verdicts of it."""
    of: int
    """Of how many that were given in the route's place."""
    why: Mapping[str, int]
    """Doubt → how often."""
    missing: Mapping[str, int]
    """A stronger model, with the category of its failure → how often."""


def seat_of(score: Score) -> str:
    """Under which name a judge sits: its own, or that of the route in whose place it was asked."""
    return str(_route(score).get("name") or score.details["judge"])


def models_of(score: Score) -> tuple[str, ...]:
    """All that may judge in this place; empty: a model by its own name."""
    named = _route(score).get("models")
    return tuple(map(str, named)) if isinstance(named, list | tuple) else ()


def stand_ins(scores: Sequence[Score]) -> tuple[StandIn, ...]:
    """Who judged in place of another, the most frequent first."""
    found: Counter[tuple[str, str, bool]] = Counter()
    reasons: dict[tuple[str, str, bool], Counter[str]] = {}
    for score in scores:
        judge = str(score.details["judge"])
        tried = list(takewhile(partial(_is_other, judge), _tried(score)))  # later ones: its verdict stood after all
        tried = tried or list(takewhile(partial(_is_other, judge), _tried(score, "passed_over")))
        if not tried:
            continue  # the first one judged
        last = tried[-1]
        key = judge, str(last.get("model")), bool(last.get("unsure"))
        found[key] += 1
        reasons.setdefault(key, Counter())[str(last.get("why"))] += 1
    return tuple(
        StandIn(key[0], count, len(scores), key[1], dict(reasons[key].most_common()), key[2])
        for key, count in found.most_common()
    )


def doubtful(scores: Sequence[Score]) -> tuple[Doubtful, ...]:
    """Whose verdicts count in spite of a doubt, the most frequent first."""
    counts, doubts, missing = Counter[str](), dict[str, Counter[str]](), dict[str, Counter[str]]()
    for score in scores:
        judge = str(score.details["judge"])
        doubt, *others = list(dropwhile(partial(_is_other, judge), _tried(score))) or [{}]
        if not doubt or score.state != "scored":
            continue
        counts[judge] += 1
        doubts.setdefault(judge, Counter())[str(doubt.get("why"))] += 1
        missing.setdefault(judge, Counter()).update(f"{each.get('model')}: {each.get('why')}" for each in others)
    return tuple(
        Doubtful(judge, count, len(scores), dict(doubts[judge].most_common()), dict(missing[judge].most_common()))
        for judge, count in counts.most_common()
    )


def _is_other(judge: str, tried: Mapping[str, Any]) -> bool:
    return str(tried.get("model")) != judge


def _tried(score: Score, which: str = "tried") -> Sequence[Mapping[str, Any]]:
    told = _route(score).get(which)
    return [each for each in told if isinstance(each, Mapping)] if isinstance(told, list | tuple) else []


def _route(score: Score) -> Mapping[str, Any]:
    """What is left of it in a database is read with care: that may hold anything."""
    told = score.details.get("route")
    return told if isinstance(told, Mapping) else {}
