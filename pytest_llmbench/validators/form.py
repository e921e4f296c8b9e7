"""Replies that are to have a form, whatever they say: so many words, a word in them, a letter not in them.

A check such as `form:words=5;contains=rain;ends=.` lists what must hold, all of it, for the whole reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pytest_llmbench.validators.reply_text import one_form, why_nothing, without_reasoning
from pytest_llmbench.validators.verdict import Expected, Verdict, right, wrong

Demand = Callable[[str, str], bool]
"""Whether a text, with what a demand asks for, meets it."""

_RANGE = re.compile(r"\d{1,4}(?:-\d{1,4})?")


def score(reply: str, expected: Expected) -> Verdict:
    """Whether the whole reply has the form that the check describes."""
    text = one_form(without_reasoning(reply))
    if not text:
        return wrong(why_nothing(reply))
    for name, wanted in demands(expected.argument).items():
        if not DEMANDS[name](text, wanted):
            return wrong(f"the form asked for is {name}={wanted}", text)
    return right(text)


def defect(expected: Expected) -> str:
    """What is wrong with the item; empty where nothing is. Its answer is an example that has the form."""
    try:
        demands(expected.argument)
    except ValueError as error:
        return str(error)
    verdict = score(expected.answer, expected)
    return "" if verdict.correct else f"the answer is to be an example of the form, and is not: {verdict.reason}"


def demands(argument: str) -> dict[str, str]:
    """What `words=5;contains=rain` asks for.

    Raises:
        ValueError: it asks for nothing, or for something that is not known.
    """
    found: dict[str, str] = {}
    for part in argument.split(";"):
        name, equals, wanted = part.strip().partition("=")
        if name not in DEMANDS or not equals or not wanted or name in found:
            raise ValueError(f"{part!r} is not a form; known are {', '.join(DEMANDS)} (`form:words=5;contains=rain`)")
        if name in _COUNTS and not _RANGE.fullmatch(wanted):
            raise ValueError(f"{part!r}: a count (5) or a range (3-5) is wanted")
        if name == "case" and wanted not in _CASES:
            raise ValueError(f"{part!r}: the case is {' or '.join(_CASES)}")
        found[name] = wanted
    return found


def _within(count: int, wanted: str) -> bool:
    low, _, high = wanted.partition("-")
    return int(low) <= count <= int(high or low)


def _words(text: str, wanted: str) -> bool:
    return _within(sum(any(map(str.isalnum, word)) for word in text.split()), wanted)


def _lines(text: str, wanted: str) -> bool:
    return _within(sum(bool(line.strip()) for line in text.splitlines()), wanted)


def _contains(text: str, wanted: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(wanted.casefold())}(?!\w)", text.casefold()) is not None


def _case(text: str, wanted: str) -> bool:
    return text.islower() if wanted == "lower" else text.isupper()


_CASES = ("lower", "upper")
_COUNTS = ("words", "lines")

DEMANDS: Mapping[str, Demand] = {
    "words": _words,
    "lines": _lines,
    "contains": _contains,
    "without": lambda text, wanted: wanted.casefold() not in text.casefold(),
    "starts": lambda text, wanted: text.startswith(wanted),
    "ends": lambda text, wanted: text.endswith(wanted),
    "each": lambda text, wanted: all(line.lstrip().startswith(wanted) for line in text.splitlines() if line.strip()),
    "case": _case,
}
"""`words` and `lines` are counts or ranges, `contains` a whole word, `without` letters, `each` every line's start."""
