"""Question sets in our own form, JSONL or CSV, with the same fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench import validators
from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.questions.items import DIFFICULTIES, Item
from pytest_llmbench.questions.rows import Place, csv_rows, json_rows
from pytest_llmbench.validators.numeric import number

FIELDS: Mapping[str, str] = {
    "id": "unique and lasting; else made from the prompt",
    "category": "what accuracy is told by; else `general`",
    "difficulty": "easy, medium or hard; else medium",
    "prompt": "what the model is asked; needed",
    "answer": "what is expected; needed",
    "check": "how a reply is scored; else choice with options, number, yes_no or text, by the answer",
    "options": "what there is to choose from: a list, in CSV with ` | ` between them",
    "wrong": "replies that must not count, for the lint: a list as above",
    "expression": "the sum that gives the answer",
    "note": "why the answer is right",
    "source": "where the question comes from",
}
"""The fields of a row; all else is refused."""

_LISTS = ("options", "wrong")


def jsonl_items(file: Path) -> Iterator[tuple[Place, Item]]:
    """The questions of a JSONL file.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    for place, row in json_rows(file):
        yield place, item_of(row, place)


def csv_items(file: Path) -> Iterator[tuple[Place, Item]]:
    """The questions of a CSV file, whose first row names the fields.

    Raises:
        UsageError: what is wrong, with file and line.
    """
    heads: list[str] = []
    for place, cells in csv_rows(file):
        if not heads:
            heads = _heads(cells, place)
            continue
        if len(cells) != len(heads):
            raise place.error(f"{len(cells)} cells under {len(heads)} heads", hint="texts with commas need quotes")
        row: dict[str, Any] = {head: cell for head, cell in zip(heads, cells, strict=True) if cell.strip()}
        row |= {name: row[name].split(" | ") for name in _LISTS if name in row}
        yield place, item_of(row, place)


def item_of(row: Mapping[str, Any], place: Place) -> Item:
    """The question of a row.

    Raises:
        UsageError: a field is missing, unknown or of the wrong kind, or the answer does not fit the check.
    """
    for name in row:
        _check_name(name, place)
    texts = {name: _text(row, name, place) for name in FIELDS if name not in (*_LISTS, "answer")}
    lists = {name: _texts(row, name, place) for name in _LISTS}
    answer = _answer(row, texts["check"], place)
    texts["check"] = texts["check"] or _check_of(answer, lists["options"])
    texts["id"] = texts["id"] or f"q-{hashlib.sha256(texts['prompt'].encode()).hexdigest()[:12]}"
    texts["category"] = texts["category"] or "general"
    texts["difficulty"] = texts["difficulty"] or "medium"
    item = Item(answer=answer, options=lists["options"], wrong=lists["wrong"], **texts)
    _check_item(item, place)
    return item


def _check_item(item: Item, place: Place) -> None:
    if not item.prompt.strip():
        raise place.error("there is no prompt", hint="every question needs `prompt` and `answer`")
    if item.difficulty not in DIFFICULTIES:
        raise place.error(f"the difficulty {item.difficulty!r} is not one of {', '.join(DIFFICULTIES)}")
    if defect := validators.defect(item.check, item.answer, item.options):
        raise place.error(defect)


def _heads(cells: list[str], place: Place) -> list[str]:
    heads = [cell.strip() for cell in cells]
    for name in heads:
        _check_name(name, place)
    for needed in ("prompt", "answer"):
        if needed not in heads:
            raise place.error(
                f"there is no column {needed!r}", hint=f"the first row names the fields: {', '.join(FIELDS)}"
            )
    if len(set(heads)) != len(heads):
        raise place.error("a column stands there twice")
    return heads


def _check_name(name: str, place: Place) -> None:
    if name not in FIELDS:
        raise place.error(
            f"there is no field {name!r}{did_you_mean(name, FIELDS)}", hint=f"fields: {', '.join(FIELDS)}"
        )


def _text(row: Mapping[str, Any], name: str, place: Place) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise place.error(f"{name!r} is to be a text, not {type(value).__name__}")
    return value


def _texts(row: Mapping[str, Any], name: str, place: Place) -> tuple[str, ...]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise place.error(f"{name!r} is to be a list of texts")
    return tuple(value)


def _answer(row: Mapping[str, Any], check: str, place: Place) -> str:
    """The answer as text: of checks of structure the JSON of it, else a text or a number."""
    value = row.get("answer", "")
    if isinstance(value, str):
        text = value
    elif check.partition(":")[0] in ("json", "list", "set"):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        text = str(value)
    else:
        raise place.error(f"'answer' is to be a text or a number, not {type(value).__name__}")
    if not text.strip():
        raise place.error("there is no answer", hint="every question needs `prompt` and `answer`")
    return text


def _check_of(answer: str, options: tuple[str, ...]) -> str:
    if options:
        return "choice"
    if answer in ("yes", "no"):
        return "yes_no"
    return "text" if number(answer) is None else "number"
