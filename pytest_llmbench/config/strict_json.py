"""JSON as the standard has it: no key twice, no `NaN`, no number beyond what a float holds."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_SHOWN = 40
_MOST_DIGITS = 4000


def parse(text: str) -> Any:
    """The value of a text.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, **HOOKS)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"the key {twice[:_SHOWN]!r} stands there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """`1e999` would be infinite: equal to any other such number, and nothing that JSON can hold."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:_SHOWN]} is too large a number")
    return value


def _whole(text: str) -> int:
    """Python turns no more digits than these into a number, because that takes their square in time."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:_SHOWN]}… is too long a number")
    return int(text)


HOOKS: dict[str, Any] = {
    "object_pairs_hook": _unique,
    "parse_constant": _no_constant,
    "parse_float": _finite,
    "parse_int": _whole,
}
"""For `json.loads` and `json.JSONDecoder`."""
