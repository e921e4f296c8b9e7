"""What is likely to be wrong with a story's patterns, although they can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_llmbench.questions.rows import Place
from pytest_llmbench.stories.reading import Story
from pytest_llmbench.stories.spans import Span, alternatives

_FRONT = re.compile(r"\^|\\[AbG]")
_BACK = re.compile(r"(?<!\\)(\\\\)*(\$|\\[Zzb])$")
_LOOSE_FRONT = re.compile(r"\w")
_LOOSE_BACK = re.compile(r"(?<!\\)(\\\\)*\w$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A doubt about one pattern."""

    place: Place
    message: str

    def __str__(self) -> str:
        return self.place.error(self.message).message


def lint(stories: Iterable[Story]) -> list[Problem]:
    """What is doubtful in stories, in their order."""
    return [
        Problem(Place(story.file, span.line), f"{span}: {doubt}")
        for story in stories
        for turn in story.turns
        for span in turn.spans
        for doubt in _doubts(span)
    ]


def _doubts(span: Span) -> Iterator[str]:
    if span.compiled().found_in(""):
        yield "matches every reply, an empty one too"
    several = alternatives(span.pattern)
    if len(several) < 2 or not all(several):
        return
    whole = "|".join(several)
    if _differ(bool(_FRONT.match(each)) for each in several) or _differ(bool(_BACK.search(each)) for each in several):
        bare = "|".join(_BACK.sub("", _FRONT.sub("", each, count=1)) for each in several)
        yield f"an anchor holds for one alternative only; for all of them write /^(?:{bare})$/ or /\\b(?:{bare})\\b/"
    elif loose := next((each for each in several if _LOOSE_FRONT.match(each) or _LOOSE_BACK.search(each)), ""):
        yield (
            f"the alternatives are not anchored: {loose!r} matches within other words, too; "
            f"write /\\b(?:{whole})\\b/, or /(?:{whole})/ where that is meant"
        )


def _differ(answers: Iterator[bool]) -> bool:
    return len(set(answers)) > 1
