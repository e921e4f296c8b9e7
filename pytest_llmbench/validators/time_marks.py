"""Time stamps in a text: `1:05`, `00:01:05.250`, `1h02m03s`, and the ranges between two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.reply_text import one_form

_MARK = r"\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?|\d{1,2}h(?:\d{1,2}m)?(?:\d{1,2}s)?|\d{1,3}m\d{1,2}s"
_RANGE = re.compile(
    rf"(?<![\w:.])(?P<start>{_MARK})(?![\w:])"
    rf"(?:[\]\)\s\"']{{0,3}}(?:--?>|→|-|to\b|until\b|bis\b|[,;|\t])[\[\(\s\"']{{0,3}}(?P<end>{_MARK})(?![\w:]))?"
)
_UNITS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_STARTS, _ENDS = frozenset({"start", "from", "begin"}), frozenset({"end", "to", "until"})


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time in seconds; a single time stamp has no end."""

    start_s: float
    end_s: float | None
    shown: str
    has_bad_end: bool = False
    """An end stands there that is no time: `0:10-0:75`."""

    @property
    def length_s(self) -> float | None:
        """Below 0 where the end lies before the start; None of a single time stamp."""
        return None if self.end_s is None else self.end_s - self.start_s


def spans(text: str) -> list[Span]:
    """The ranges and single time stamps of a text, in order; of JSON with `start` and `end`, those."""
    return list(_of_json(text) or _of_text(one_form(text.replace("\t", ";"))))


def without_marks(text: str) -> str:
    """The text with a space in place of each time stamp."""
    return _RANGE.sub(lambda found: found[0] if seconds(found["start"]) is None else " ", text)


def seconds(mark: str) -> float | None:
    """The seconds that a time stamp means; None where minutes or seconds are above 59, or it is none."""
    if ":" not in mark:
        units = _UNITS.fullmatch(mark.strip().lower())
        if units is None or not any(units.groups()):
            return None
        hours, minutes, rest = (int(part or 0) for part in units.groups())
        return float(3600 * hours + 60 * minutes + rest)
    try:
        *before, last = (float(part.replace(",", ".")) for part in mark.split(":"))
    except ValueError:
        return None
    inner = [*before[1:], last]
    total = 0.0
    for part in [*before, last]:
        total = total * 60 + part
    return total if len(before) in (1, 2) and all(0 <= part < 60 for part in inner) else None


def as_mark(value: Any) -> float | None:
    """Seconds given as a number or a time stamp; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value < 10**9 else None
    return seconds(value.strip()) if isinstance(value, str) and len(value) < 40 else None


def shown(value_s: float) -> str:
    """Seconds as people read them: `1:02:03`, `2:03.5`."""
    minutes, rest = divmod(round(value_s, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{rest:06.3f}".rstrip("0").rstrip(".").zfill(2)
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def _of_text(text: str) -> Iterator[Span]:
    for found in _RANGE.finditer(text):
        start = seconds(found["start"])
        end = seconds(found["end"]) if found["end"] else None
        if start is not None:
            yield Span(start, end, found[0], has_bad_end=bool(found["end"]) and end is None)


def _of_json(text: str) -> list[Span]:
    body = code_of(text).strip()
    if not body.startswith(("[", "{")):
        return []
    try:
        return list(_held(json.loads(body)))
    except (ValueError, RecursionError):
        return []


def _held(value: Any) -> Iterator[Span]:
    """The spans of all objects that have a start, in the order of the document."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(reversed(each))
        elif isinstance(each, dict):
            start = _keyed(each, _STARTS)
            if start is not None:
                end, names = _keyed(each, _ENDS), (_plain_key(key) for key, value in each.items() if value is not None)
                has_bad_end = end is None and not _ENDS.isdisjoint(names)
                yield Span(start, end, json.dumps(each, ensure_ascii=False)[:80], has_bad_end)
            left.extend(reversed(each.values()))


def _keyed(row: dict[str, Any], names: frozenset[str]) -> float | None:
    return next((as_mark(value) for key, value in row.items() if _plain_key(key) in names), None)


def _plain_key(key: str) -> str:
    return key.lower().removesuffix("_s").removesuffix("_time")
