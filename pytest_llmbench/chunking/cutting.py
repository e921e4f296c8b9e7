"""A text cut into chunks of at most so many tokens, at the coarsest places that allow it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from pytest_llmbench.chunking.counters import Counter
from pytest_llmbench.chunking.shapes import Chunk, Chunking
from pytest_llmbench.chunking.units import Span, stamps, units, ways


def chunks(text: str, size: int, chunking: Chunking, counter: Counter) -> list[Chunk]:
    """The chunks of a text: nothing between them is lost but white space.

    The text is counted once, and cut by where its tokens end. Because a stretch by itself may have a few tokens more
    than it has within the whole, each chunk is counted again, and where one is too large all is cut a little smaller.

    Args:
        text: any.
        size: the most tokens of a chunk; one of a single character may have more.
        chunking: its `overlap` and `by` count.
        counter: who counts.

    Returns:
        In their order; empty for a text of white space alone.
    """
    ruler = _Ruler(text, counter.ends(text))
    aim = size
    while True:
        spans = [span for span in _spans(ruler, aim, chunking) if text[span[0] : span[1]].strip()]
        trimmed = [_trimmed(text, span) for span in spans]
        counts = [counter.count(text[start:end]).tokens for start, end in trimmed]
        excess = max(counts, default=0) - size
        if excess <= 0 or aim == 1:
            return _numbered(text, trimmed, counts)
        aim = max(1, aim - max(excess, aim // 50))


class _Ruler:
    """A text, and how many tokens lie between two places in it."""

    def __init__(self, text: str, ends: Sequence[int]) -> None:
        self.text = text
        self._ends = ends

    def tokens(self, start: int, end: int) -> int:
        """All that are between two places, be it in part; white space before the end does not count, for it goes."""
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return max(0, self._last(end) - bisect_right(self._ends, start))

    def reach(self, start: int, tokens: int) -> int:
        """The place behind the next so many tokens, at least one character on."""
        last = bisect_right(self._ends, start) + tokens
        return max(start + 1, self._ends[last - 1]) if last <= len(self._ends) else len(self.text)

    def back(self, end: int, tokens: int) -> int:
        """The place before the last so many tokens."""
        first = self._last(end) - tokens
        return self._ends[first - 1] if first > 0 else 0

    def _last(self, end: int) -> int:
        return min(bisect_left(self._ends, end) + 1, len(self._ends))


def _spans(ruler: _Ruler, size: int, chunking: Chunking) -> list[Span]:
    """As many pieces as fit, again and again; all but the first begin with what they repeat."""
    spans: list[Span] = []
    for start, end in _pieces(ruler, (0, len(ruler.text)), size, ways(chunking.by)):
        if spans and ruler.tokens(spans[-1][0], end) <= size:
            spans[-1] = (spans[-1][0], end)
        elif spans:
            spans.append((_repeating(ruler, spans[-1], end, size, chunking), end))
        else:
            spans.append((start, end))
    return spans


def _pieces(ruler: _Ruler, span: Span, size: int, left: Sequence[str]) -> list[Span]:
    """A stretch in pieces that are not too large, each as coarse as can be."""
    if ruler.tokens(*span) <= size:
        return [span]
    if not left:
        return _stretches(ruler, span, size)
    found = units(ruler.text, *span, left[0])
    return [piece for unit in found for piece in _pieces(ruler, unit, size, left[1:])]


def _stretches(ruler: _Ruler, span: Span, size: int) -> list[Span]:
    """A long word, cut anywhere."""
    start, end = span
    edges = [start]
    while edges[-1] < end:
        edges.append(min(end, ruler.reach(edges[-1], size)))
    return list(pairwise(edges))


def _repeating(ruler: _Ruler, before: Span, end: int, size: int, chunking: Chunking) -> int:
    """Where a chunk that ends at `end` begins, so that it repeats what it may of the chunk before.

    It begins where a unit begins: the coarsest kind that makes use of at least half of the overlap, else the finest.
    """
    edge, best = max(before[0], ruler.back(before[1], chunking.overlap)), before[1]
    for way in ways(chunking.by) if chunking.overlap else ():
        starts = [start for start, _ in units(ruler.text, edge, before[1], way)[1:]]
        best = min([start for start in starts if ruler.tokens(start, end) <= size], default=best)
        if 2 * ruler.tokens(best, before[1]) >= chunking.overlap:
            break
    return best


def _trimmed(text: str, span: Span) -> Span:
    """Without the white space around it."""
    start, end = span
    held = text[start:end]
    return start + len(held) - len(held.lstrip()), start + len(held.rstrip())


def _numbered(text: str, spans: Sequence[Span], counts: Sequence[int]) -> list[Chunk]:
    found = []
    before = 0
    for number, ((start, end), tokens) in enumerate(zip(spans, counts, strict=True), start=1):
        first, last = stamps(text[start:end])
        overlap = max(0, before - start)
        found.append(Chunk(number, len(spans), text[start:end], start, end, tokens, overlap, first, last))
        before = end
    return found
