"""`/patterns/` within the text of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmbench.validators.patterns import Pattern, compiled

_BEFORE = " \t\n([{<\"'“‘«„"
"""What may stand before a pattern; so `and/or` and `24/7` are words, and `https://…` is an address."""
_END = re.compile(r"([a-zA-Z]{0,3})(?=[\s.,;:!?…)\]}>\"'”’»“]|$)")
FLAGS = "ims"


class UnreadableSpanError(ValueError):
    """A pattern that does not end, or ends with a flag that is none.

    Args:
        message: what is wrong.
        offset: where in the text it begins, in characters.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Span:
    """A pattern that must match somewhere in the reply."""

    pattern: str
    flags: str
    """Some of `i` (case does not matter), `m` (^ and $ match at every line) and `s` (. matches line ends)."""
    line: int
    """Where it stands in its file, from 1."""

    def compiled(self) -> Pattern:
        """The pattern with its flags.

        Raises:
            ValueError: it is none; the message completes `the pattern …`.
        """
        return compiled(f"(?{self.flags}){self.pattern}" if self.flags else self.pattern)

    def __str__(self) -> str:
        return f"/{self.pattern}/{self.flags}"


def spans(text: str, line: int) -> Iterator[Span]:
    """The patterns in a text.

    Args:
        text: of an answer.
        line: where it begins in its file, from 1.

    Raises:
        UnreadableSpanError: one does not end within its line, or has unknown flags.
    """
    at = 0
    while (at := text.find("/", at)) >= 0:
        if not _opens(text, at):
            at += 1
            continue
        end, flags = _closed(text, at)
        yield Span(text[at + 1 : end], flags, line + text.count("\n", 0, at))
        at = end + 1 + len(flags)


def _opens(text: str, at: int) -> bool:
    """Whether the slash begins a pattern: ` / ` between words and `//` do not."""
    follows = text[at + 1 : at + 2]
    return (at == 0 or text[at - 1] in _BEFORE) and bool(follows) and not follows.isspace() and follows != "/"


def _closed(text: str, begin: int) -> tuple[int, str]:
    """Where a pattern ends, and its flags."""
    at, in_class = begin + 1, False
    while at < len(text) and text[at] != "\n":
        if text[at] == "\\":
            at += 1
        elif text[at] == "[":
            in_class = True
        elif text[at] == "]":
            in_class = False
        elif text[at] == "/" and not in_class and (found := _END.match(text, at + 1)):
            return at, _checked(found[1], at)
        at += 1
    raise UnreadableSpanError(
        f"the pattern {text[begin : begin + 40].splitlines()[0]!r} does not end in its line", begin
    )


def _checked(flags: str, at: int) -> str:
    if wrong := next((flag for flag in flags if flag not in FLAGS or flags.count(flag) > 1), ""):
        raise UnreadableSpanError(f"the flag {wrong!r} behind a pattern is none of {', '.join(FLAGS)}", at)
    return flags


def alternatives(pattern: str) -> list[str]:
    """What stands between the `|` of a pattern that are in no group."""
    found, begin, depth, at, in_class = [], 0, 0, 0, False
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class, at = True, at + _closing_bracket_first(pattern, at)
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "|" and depth == 0:
            found.append(pattern[begin:at])
            begin = at + 1
        at += 1
    return [*found, pattern[begin:]]


def _closing_bracket_first(pattern: str, at: int) -> int:
    """How many signs at the beginning of a class are no end of it: `[]…]`, `[^]…]`."""
    negated = pattern[at + 1 : at + 2] == "^"
    return negated + (pattern[at + 1 + negated : at + 2 + negated] == "]")
