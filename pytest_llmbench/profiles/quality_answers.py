"""The answers of a quality measurement, read off its repetitions: one an item, whatever the number of repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pytest_llmbench.records import Measurement, Repetition


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model made of one item."""

    item: str
    category: str
    difficulty: str
    correct: bool | None
    """By the majority of the repeats, where a tie is wrong; None: no repeat could be scored."""
    extracted: str
    """What was read off the first reply; empty where nothing could be, or texts are not kept."""
    truncated: bool
    """Whether a reply was cut off at the longest answer."""
    unscored: str
    """Why no repeat could be scored."""
    steady: bool
    """Whether all repeats that were scored came out the same."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many answers of a part of the questions were right."""

    part: str
    n: int
    right: int
    unscored: int
    truncated: int


def answers(measurement: Measurement) -> dict[str, Answer]:
    """Item → its answer, in the order of the items."""
    by_item: dict[str, list[Repetition]] = {}
    for repetition in measurement.counted:
        if "item" in repetition.labels:
            by_item.setdefault(str(repetition.labels["item"]), []).append(repetition)
    return {item: _answer(item, repeats) for item, repeats in by_item.items()}


def counts(given: Iterable[Answer]) -> tuple[Count, dict[str, Count], dict[str, Count]]:
    """All answers; those of each category; those of each difficulty."""
    given = list(given)
    return _count("all", given), _grouped(given, lambda a: a.category), _grouped(given, lambda a: a.difficulty)


def _answer(item: str, repeats: list[Repetition]) -> Answer:
    first = repeats[0].labels
    outcomes = Counter(bool(r.metrics["correct"]) for r in repeats if "correct" in r.metrics)
    return Answer(
        item=item,
        category=str(first["category"]),
        difficulty=str(first["difficulty"]),
        correct=outcomes[True] > outcomes[False] if outcomes else None,
        extracted=str(first.get("extracted", "")),
        truncated=any(r.labels.get("truncated") for r in repeats),
        unscored="" if outcomes else str(first.get("unscored", "no reason was told")),
        steady=len(outcomes) < 2,
    )


def _grouped(given: list[Answer], group: Callable[[Answer], str]) -> dict[str, Count]:
    names: Mapping[str, None] = dict.fromkeys(map(group, given))
    return {name: _count(name, [a for a in given if group(a) == name]) for name in names}


def _count(part: str, given: list[Answer]) -> Count:
    scored = [a for a in given if a.correct is not None]
    return Count(
        part=part,
        n=len(scored),
        right=sum(1 for a in scored if a.correct),
        unscored=len(given) - len(scored),
        truncated=sum(1 for a in given if a.truncated),
    )
