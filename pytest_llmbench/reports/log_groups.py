"""Notes of a request log that say the same of many questions: the first in full, then how many more there were."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.observe.log_fields import NOTE, Line

ALIKE = "alike"
"""Of a line that is in no log: for how many notes it stands."""
_DURATION = re.compile(r"\b[\d.]+ (?:s|ms|min)\b")


def grouped(lines: Iterable[Line]) -> Iterator[Line]:
    """Lines of a log for people: a model that is given up is so for every question that waits for it.

    The first of such notes comes at once, those that say the same of its model are counted, and told of in one line
    before the next note of another kind, or at the end: several models may be given up together.
    """
    alike: dict[tuple[object, ...], tuple[Line, int]] = {}
    for line in map(_without_count, lines):
        if line.get("event") == NOTE:
            if line.get("kind") != Kind.GIVEN_UP:
                yield from _counted(alike)
            elif (said := _said(line)) in alike:
                alike[said] = line, alike[said][1] + 1
                continue
            else:
                alike[said] = line, 0
        yield line
    yield from _counted(alike)


def _without_count(line: Line) -> Line:
    """Only what is counted here counts: somebody else's log may have anything under that name."""
    return {name: value for name, value in line.items() if name != ALIKE} if ALIKE in line else line


def _said(line: Line) -> tuple[object, ...]:
    return str(line.get("model", "")), _DURATION.sub("", str(line.get("message", "")))


def _counted(alike: dict[tuple[object, ...], tuple[Line, int]]) -> Iterator[Line]:
    """What was held back, which is then forgotten."""
    for last, more in alike.values():
        if more == 1:
            yield last
        elif more:
            yield {**last, "message": f"the same of {more:,} more questions", ALIKE: more}
    alike.clear()
