"""The JSON that a reply is, and the fields in it."""

from __future__ import annotations

import sys
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.validators.structure import FENCE


class NotThereError(LookupError):
    """A field is not there; the message completes `the reply …`."""


def reply_json(answer: str, *, fence: bool = True) -> Any:
    """The value of a reply that is JSON and nothing else; one Markdown fence around it is allowed.

    Raises:
        ValueError: it is not; the message completes `the reply …`.
    """
    text = answer.strip()
    if not text:
        raise ValueError("is empty")
    fenced = FENCE.fullmatch(text)
    if fenced and not fence:
        raise ValueError("has a Markdown fence around its JSON")
    try:
        return strict_json.parse(fenced[1] if fenced else text)
    except ValueError as error:
        raise ValueError(f"is not JSON and nothing else: {error}") from None


def at_path(value: Any, path: str) -> Any:
    """The value at a dotted path: `total`, `lines.0.amount`.

    Raises:
        NotThereError: there is none.
    """
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in path.split("."):
        if isinstance(value, list) and (place := _index(key)) < len(value):
            value = value[place]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise NotThereError(f"has no field {path!r}")
    return value


def _index(key: str) -> int:
    """The place in a list that a key names; beyond every list where it names none."""
    return int(key) if key.isascii() and key.isdigit() and len(key) < 10 else sys.maxsize
