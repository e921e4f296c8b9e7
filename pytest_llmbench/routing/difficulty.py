"""How hard a question looks before anybody is asked: a rough, cheap estimate that needs no model and no language.

It counts what makes questions long-winded or exact: length, demands, code and formulas, numbers, turns. It cannot see
that a short question is deep: for that there are the doubts about the first answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CHARACTERS_A_TOKEN = 4
_DEMAND = re.compile(r"^[ \t]*(?:[-*+•]|\(?[0-9a-zA-Z]{1,2}[.)])[ \t]+\S|[?？]", re.MULTILINE)
_CODE = re.compile(r"```|\\(?:frac|sum|int|sqrt|begin)\b|[=<>≤≥]{1,2}.{0,40}[-+*/^=]|[{};]\s*$", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_READ = 100_000
"""Characters looked at: what is longer is long, whatever stands there."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that makes a question look hard."""

    name: str
    weight: float
    """All together 1."""
    most: int
    """From so many on it counts in full."""
    help: str
    count: Callable[[str, Sequence[Mapping[str, Any]]], int]


SIGNS: tuple[Sign, ...] = (
    Sign("length", 0.3, 1500, "prompt tokens (characters / 4)", lambda text, _: len(text) // _CHARACTERS_A_TOKEN),
    Sign("demands", 0.25, 6, "question marks, and items of lists", lambda text, _: len(_DEMAND.findall(text))),
    Sign("code", 0.2, 3, "places that look like code or a formula", lambda text, _: len(_CODE.findall(text))),
    Sign("numbers", 0.15, 8, "numbers", lambda text, _: len(_NUMBER.findall(text))),
    Sign("turns", 0.1, 6, "messages of the user", lambda _, said: sum(one.get("role") == "user" for one in said) - 1),
)


def difficulty(messages: Sequence[Mapping[str, Any]]) -> float:
    """From 0 to 1.

    Args:
        messages: of the request; system messages are not looked at, but their length.
    """
    return sum(weight for _, weight in parts(messages))


def parts(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """What each sign adds to it."""
    text = "\n".join(map(text_of, messages))[:_READ]
    return [(each.name, each.weight * min(1.0, max(0, each.count(text, messages)) / each.most)) for each in SIGNS]


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message; of one in parts, their texts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    told = content if isinstance(content, list | tuple) else ()
    return "\n".join(str(part.get("text", "")) for part in told if isinstance(part, Mapping))
