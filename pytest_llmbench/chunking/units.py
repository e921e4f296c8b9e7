"""Where a text may be cut: its units by one way and by all finer ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

Span = tuple[int, int]

STAMP = re.compile(r"(?:(?:\d{1,3}:)?[0-5]?\d:[0-5]\d(?:[.,]\d{1,3})?)(?!\d)", re.ASCII)
"""A time stamp: `1:05`, `00:01:05`, `00:01:05,250`."""
_CUE = re.compile(rf"^(?:\d{{1,7}}[ \t]*\n)?[ \t]*[\[(<]?{STAMP.pattern}", re.MULTILINE | re.ASCII)
"""A line that begins with a time stamp, in brackets or not; in subtitles the number above it belongs to it."""
_STARTS: Mapping[str, re.Pattern[str]] = {
    "timestamp": _CUE,
    "paragraph": re.compile(r"(?<=\n)(?:[ \t]*\n)+"),
    "line": re.compile(r"(?<=\n)"),
    "sentence": re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])"),
    "word": re.compile(r"\s+"),
}
_AT_END = frozenset({"paragraph", "sentence", "word"})
"""Ways whose pattern is what lies between two units: the next one begins behind it."""
_FINER: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "paragraph", "line", "sentence", "word"),
    "paragraph": ("paragraph", "line", "sentence", "word"),
    "sentence": ("sentence", "word"),
    "tokens": ("word",),
}


def ways(by: str) -> Sequence[str]:
    """`by` and all finer ways, from coarse to fine; what none of them cuts is one long word."""
    return _FINER[by]


def units(text: str, start: int, end: int, way: str) -> list[Span]:
    """The units of a stretch of a text; together they are all of it, white space between two belongs to the first."""
    cuts = [at for at in _cuts(text, start, end, way) if start < at < end]
    edges = [start, *dict.fromkeys(cuts), end]
    return list(pairwise(edges))


def stamps(text: str) -> tuple[str, str]:
    """The first and the last time stamp that begins a line; empty where none does."""
    found = [cue[0] for cue in _CUE.finditer(text)]
    if not found:
        return "", ""
    return STAMP.findall(found[0])[-1], STAMP.findall(found[-1])[-1]


def _cuts(text: str, start: int, end: int, way: str) -> Iterator[int]:
    for found in _STARTS[way].finditer(text, start, end):
        yield found.end() if way in _AT_END else found.start()
