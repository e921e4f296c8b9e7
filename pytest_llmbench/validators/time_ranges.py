"""Validators of time stamps and of the lengths of time between them: chapters, clips, subtitles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators import time_marks
from pytest_llmbench.validators.limits import Limits, limits
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, keys_of, rated, unscored, verdict
from pytest_llmbench.validators.time_marks import Span

_SHOWN = 5
_NO_MARKS = "the source has no time stamps to be within"
_SOME = Limits(at_least=1)


@dataclass(frozen=True, slots=True)
class Order:
    """What time stamps have to keep to."""

    within: Limits | None = None
    within_source: bool = False
    ordered: bool = True
    overlap: bool = True
    ranges: bool = False
    count: Limits = _SOME

    def faults(self, spans: Sequence[Span], source: str) -> dict[int, str]:
        """What is wrong, by the place of the time stamp that is."""
        bounds = self._bounds(source)
        found: dict[int, str] = {}
        for place, span in enumerate(spans):
            if bounds and not all(bounds.hold(mark) for mark in (span.start_s, span.end_s) if mark is not None):
                low, high = time_marks.shown(bounds.at_least), time_marks.shown(bounds.at_most)
                found[place] = f"{span.shown!r} lies outside {low} to {high}"
            elif span.end_s is not None and span.end_s <= span.start_s:
                found[place] = f"{span.shown!r} ends before it begins"
            elif span.has_bad_end or (self.ranges and span.end_s is None):
                found[place] = (
                    f"{span.shown!r} has no end" if not span.has_bad_end else f"{span.shown!r} ends at no time"
                )
        for place, (before, span) in enumerate(pairwise(spans), 1):
            if place not in found and (fault := self._after(before, span)):
                found[place] = fault
        return found

    def _after(self, before: Span, span: Span) -> str:
        if self.ordered and span.start_s < before.start_s:
            return f"{span.shown!r} stands after {before.shown!r} and lies before it"
        if not self.overlap and before.end_s is not None and span.start_s < before.end_s:
            return f"{span.shown!r} begins before {before.shown!r} has ended"
        return ""

    def _bounds(self, source: str) -> Limits | None:
        if not self.within_source:
            return self.within
        marks = [mark for span in time_marks.spans(source) for mark in (span.start_s, span.end_s) if mark is not None]
        return Limits(min(marks), max(marks)) if marks else None


def _parse_timestamps(argument: Any, where: Where) -> Scorer:
    keys = {"within": (str, int, float, list), "count": (int, dict)}
    given = keys_of(argument, where, {**keys, "ordered": bool, "overlap": bool, "ranges": bool})
    within = given.get("within")
    order = Order(
        within=None if within in (None, "source") else _within(within, where.at("within")),
        within_source=within == "source",
        ordered=given.get("ordered", True),
        overlap=given.get("overlap", True),
        ranges=given.get("ranges", False),
        count=limits(given["count"], where.at("count"), alone="at_least") if "count" in given else _SOME,
    )

    def judge(material: Material) -> Score:
        return _judged(order, time_marks.spans(material.answer), material.source)

    def faults(material: Material) -> list[str]:
        no_marks = order.within_source and not time_marks.spans(material.source)
        return [_NO_MARKS] if no_marks else []

    return Plain(judge, faults)


def _judged(order: Order, spans: Sequence[Span], source: str) -> Score:
    if order.within_source and not time_marks.spans(source):
        return unscored(_NO_MARKS)
    if not order.count.hold(len(spans)):
        return verdict(passed=False, reason=f"{len(spans)} time stamps, asked: {order.count}", count=len(spans))
    faults = list(order.faults(spans, source).values())
    share = 1 - len(faults) / len(spans) if spans else 1.0
    told = "; ".join(faults[:_SHOWN]) or f"{len(spans)} time stamps are in order"
    return rated(share, not faults, told, count=len(spans), faults=len(faults))


def _within(value: Any, where: Where) -> Limits:
    """`1:02:03` is from 0 to there; `[0:10, 5:00]` is from the one to the other."""
    ends = value if isinstance(value, list) else [0, value]
    marks = [time_marks.as_mark(each) for each in ends]
    if len(marks) != 2 or marks[0] is None or marks[1] is None or marks[0] > marks[1]:
        raise where.error("must be 'source', a time (1:02:03, or seconds), or a list of two times")
    return Limits(marks[0], marks[1])


def _parse_durations(argument: Any, where: Where) -> Scorer:
    allowed = {"each": (int, float, str, dict), "total": (int, float, str, dict), "count": (int, dict)}
    given = keys_of(argument, where, allowed)
    if "each" not in given and "total" not in given:
        raise where.error("must have 'each' or 'total' ({each: {at_least: 5, at_most: 1:00}})")
    each, total = (
        limits(given[key], where.at(key), time_marks.as_mark) if key in given else Limits() for key in ("each", "total")
    )
    count = limits(given["count"], where.at("count"), alone="at_least") if "count" in given else _SOME

    def judge(material: Material) -> Score:
        ranges = [span for span in time_marks.spans(material.answer) if span.length_s is not None]
        return _measured(ranges, each, total, count)

    return Plain(judge)


def _measured(ranges: Sequence[Span], each: Limits, total: Limits, count: Limits) -> Score:
    lengths = [span.length_s or 0.0 for span in ranges]
    whole = round(sum(lengths), 3)
    wrong = [
        f"{span.shown!r} takes {length:g} s"
        for span, length in zip(ranges, lengths, strict=True)
        if length < 0 or not each.hold(length)
    ]
    if wrong:
        wrong.append(f"asked: {each} s" if str(each) else "a length is below 0")
    if not total.hold(whole):
        wrong.append(f"together {whole:g} s, asked: {total} s")
    if not count.hold(len(ranges)):
        wrong.append(f"{len(ranges)} ranges of time, asked: {count}")
    reason = "; ".join(wrong[: _SHOWN + 2]) or f"{len(ranges)} ranges of time, together {whole:g} s"
    return verdict(not wrong, reason, total_s=whole, count=len(ranges))


TABLE: tuple[Validator, ...] = (
    Validator(
        "timestamps",
        "time stamps in order, each range ending after its start, within the source's time or given limits",
        _parse_timestamps,
        {"within": "source", "overlap": False},
        measure="value",
        settles=True,
    ),
    Validator(
        "durations",
        "how long ranges of time are, each and together",
        _parse_durations,
        {"each": {"at_least": 5, "at_most": "1:00"}, "total": "10:00"},
    ),
)
