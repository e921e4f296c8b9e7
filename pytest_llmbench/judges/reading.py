"""The JSON object that a judge's answer is. What is wrong with one is told in our words only: the judge is told it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.judges.evidence import bare
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.validators.reply_text import without_reasoning
from pytest_llmbench.validators.structure import FENCE

_TAGS = tuple(
    f"{bracket}{name}>" for name in ("think", "thinking", "thought", "reasoning", "analysis") for bracket in ("<", "</")
)


class UnusableError(Exception):
    """An answer that is no verdict; the message completes `the verdict cannot be used: …`."""

    kind = "form"


class PlantedError(UnusableError):
    """It stood in the material already."""

    kind = "planted"


class UnfoundedError(UnusableError):
    """Its evidence is not in the reply."""

    kind = "evidence"

    def __init__(self, message: str, violations: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.violations = violations


def object_of(text: str, shown: Iterable[Matter]) -> Mapping[str, Any]:
    """The one JSON object that the answer is, reasoning and one Markdown fence taken off.

    Args:
        text: the judge's answer.
        shown: what it was shown; where that holds reasoning tags, in whatever spelling, those of the answer may be a
            quote, and what follows a quoted `</think>` is no verdict.

    Raises:
        UnusableError: it is something else, or more.
    """
    text = text.strip()
    if _tagged(text) and not text.startswith(("{", "```")):  # a verdict may quote a tag of the reply
        if any(_tagged(bare(part)) for matter in shown for part in _texts(matter)):
            raise UnusableError("it holds reasoning tags, and so does the material: nobody can tell whose they are")
        text = without_reasoning(text)
    value = _parsed(text.strip())
    if not isinstance(value, dict):
        raise UnusableError("it is JSON, but not one object")
    return value


def exactly(value: Any, keys: Iterable[str], where: str) -> Mapping[str, Any]:
    """An object with these keys and no other.

    Raises:
        UnusableError: it is none.
    """
    if not isinstance(value, dict):
        raise UnusableError(f"{where} is not an object")
    wanted = list(keys)
    if missing := [key for key in wanted if key not in value]:
        raise UnusableError(f"{where} lacks {missing[0]!r}")
    if len(value) > len(wanted):
        raise UnusableError(f"{where} has a key that was not asked for; asked for: {', '.join(wanted)}")
    return value


def words(value: Any, where: str) -> str:
    """A text.

    Raises:
        UnusableError: it is none.
    """
    if not isinstance(value, str):
        raise UnusableError(f"{where} is not a text")
    return value


def _parsed(text: str) -> Any:
    if not text:
        raise UnusableError("it is empty")
    fenced = FENCE.fullmatch(text)
    try:
        return strict_json.parse(fenced[1] if fenced else text)
    except json.JSONDecodeError as error:
        raise UnusableError(f"it is not JSON and nothing else ({error.msg}, character {error.pos})") from None
    except ValueError:
        raise UnusableError("its JSON holds a key twice, a number out of range, or is nested too deeply") from None


def _tagged(text: str) -> bool:
    lowered = text.casefold()
    return any(tag in lowered for tag in _TAGS)


def _texts(matter: Matter) -> tuple[str, ...]:
    return matter.question, matter.source, matter.expected, matter.reply
