"""Regular expressions that cannot hang: found in a process apart, with limits on time and memory.

They are those of the `regex` package: Python's, and more. Which patterns explode is hard to tell by looking at them;
`(a|aa)+$` takes for ever, and `((a{1000}){1000}){1000}` all memory before it has seen a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.validators import apart

LIMIT_S = 1.0
LONGEST = 10_000
"""Characters of a pattern."""

Span = tuple[int, int]


class PatternTimeoutError(Exception):
    """A pattern did not come to an end on a text; the message completes `the pattern …`."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is one; see `compiled`."""

    text: str
    ignore_case: bool = False
    whole: bool = False
    """It must match all of a text; else it is looked for in it."""

    def search(self, texts: Sequence[str]) -> list[Span | None]:
        """Where it is first found in each of the texts.

        Raises:
            PatternTimeoutError: it took longer than `LIMIT_S` for one of them.
        """
        arguments = {
            "pattern": self.text,
            "texts": list(texts),
            "ignore_case": self.ignore_case,
            "whole": self.whole,
            "limit_s": LIMIT_S,
        }
        try:
            answer = apart.run("cell_patterns:search", arguments, LIMIT_S * max(1, len(texts)))
        except apart.ApartError as error:
            raise PatternTimeoutError(str(error)) from error
        return [None if span is None else (span[0], span[1]) for span in answer["found"]]

    def found_in(self, text: str) -> bool:
        """Whether it is found in a text; see `search`."""
        return self.search([text])[0] is not None


def compiled(text: str, *, ignore_case: bool = False, whole: bool = False) -> Pattern:
    """A pattern, tried out on an empty text.

    Raises:
        ValueError: it is none, or too large; the message completes `the pattern …`.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters")
    pattern = Pattern(text, ignore_case, whole)
    try:
        pattern.search([""])
    except PatternTimeoutError as error:
        raise ValueError(str(error)) from error
    return pattern
