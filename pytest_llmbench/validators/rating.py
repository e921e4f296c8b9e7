"""What people thought of a reply, imported from a column of the data.

A rating belongs to the reply that was rated: a column `reply` holds it, and of any other reply it tells nothing.
"""

from __future__ import annotations

import math
from typing import Any

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.material import Material, as_text
from pytest_llmbench.validators.reply_text import without_reasoning
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, graded, is_kind, keys_of, unscored

_COLUMN, _REPLY = "rating", "reply"
_STARS = [1, 5]


def _rating(argument: Any, where: Where) -> Scorer:
    said = {"column": argument} if isinstance(argument, str) else argument
    keys = keys_of(said, where, {"column": str, "scale": list, "reply": str})
    column, reply = keys.get("column", _COLUMN), keys.get("reply", _REPLY)
    low, high = _ends(keys.get("scale", _STARS), where.at("scale"))

    def judge(material: Material) -> Score:
        if why := _why_none(material, column, reply):
            return unscored(why)
        found = _number(material.metadata[column], low, high)
        if found is None:
            return unscored(_strange(material.metadata[column], column, low, high))
        value = (found - low) / (high - low)
        return graded(value, f"people rated it {found:g}, of {low:g} to {high:g}", rating=found, column=column)

    def faults(material: Material) -> list[str]:
        cell = material.metadata.get(column)
        is_fine = _is_empty(cell) or _number(cell, low, high) is not None
        return [] if is_fine else [_strange(cell, column, low, high)]

    return Plain(judge, faults)


def _ends(scale: list[Any], where: Where) -> tuple[float, float]:
    if len(scale) != 2 or not all(is_kind(end, float) and math.isfinite(end) for end in scale):
        raise where.error("must be the lowest and the highest rating: [1, 5]")
    low, high = map(float, scale)
    if low >= high:
        raise where.error("begins with the lowest rating, which is the worst: [1, 5]")
    return low, high


def _why_none(material: Material, column: str, reply: str) -> str:
    """Why there is no rating of this reply; empty where there is one."""
    if column not in material.metadata:
        return f"the sample has no column {column!r}{did_you_mean(column, material.metadata)}"
    if _is_empty(material.metadata[column]):
        return "nobody rated it"
    rated = material.metadata.get(reply)
    if not _is_empty(rated) and without_reasoning(as_text(rated)).strip() != material.answer:
        return f"people rated another reply than this one (column {reply!r})"
    return ""


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _number(cell: Any, low: float, high: float) -> float | None:
    """The rating in a cell, which is text in CSV; true and false are thumbs, where the scale is from 0 to 1."""
    if not isinstance(cell, str | int | float) or (isinstance(cell, bool) and (low, high) != (0, 1)):
        return None
    try:
        found = float(cell)
    except (ValueError, OverflowError):
        return None
    return found if low <= found <= high else None


def _strange(cell: Any, column: str, low: float, high: float) -> str:
    return f"the column {column!r} holds {as_text(cell)[:40]!r}, which is no rating from {low:g} to {high:g}"


TABLE = (
    Validator(
        "rating",
        "people rated this very reply so, in a column of the data; its value is their rating from 0 to 1",
        _rating,
        {"column": "stars", "scale": [1, 5], "at_least": 4},
        measure="rating",
    ),
)
