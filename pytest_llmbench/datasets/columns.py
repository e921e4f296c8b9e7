"""Which columns of a dataset mean what, and the sample that a row is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.datasets.media import cell_parts
from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.records import Sample

Row = Mapping[str, Any]

_COLUMN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a dataset mean what."""

    input: str | None = "input"
    """The user's message; in JSONL also a whole conversation, a list of messages. None: `input`, where there is one,
    else the sample's input is empty: what is asked is put together of the other columns."""
    expected: str | None = None
    """The expected answer; None: `expected`, where there is one."""
    id: str | None = None
    """Unique; None: `id`, where there is one, else made from the row's content."""
    prompt: str = ""
    """The user's message with `{{column}}` for a row's cells, in place of the input."""
    media: tuple[str, ...] = ()
    """Columns whose cells name a picture, a sound or a PDF, by its path from the dataset's folder: these follow the
    text of the message as parts of it. Of Parquet and Hugging Face datasets the cell holds the file itself."""


def filled(template: str, row: Row, place: Place) -> str:
    """The template with a row's cells in place of `{{column}}`; what is no text is written as JSON.

    Raises:
        UsageError: the row has no such column.
    """
    return _COLUMN.sub(lambda found: _shown(cell(row, found[1], place), place), template)


def sample_of(id_: str, row: Row, columns: Columns, place: Place) -> Sample:
    """The sample that a row is.

    Raises:
        UsageError: a column is missing, or not of the form that is wanted; with file and line.
    """
    asked = _asked(row, columns, place)
    if columns.media:
        asked = _with_media(asked, row, columns, place)
    expected = row.get("expected") if columns.expected is None else cell(row, columns.expected, place)
    meant = {columns.expected or "expected", columns.id or "id", *columns.media}
    meant |= set() if columns.prompt else {columns.input or "input"}
    rest = {name: value for name, value in row.items() if name not in meant}
    if (held := next((name for name, value in rest.items() if isinstance(value, bytes)), None)) is not None:
        raise place.error(f"the column {held!r} holds bytes", hint=f"media=({held!r},) makes it a part of the message")
    return Sample(id_, asked, expected, rest)


def cell(row: Row, column: str, place: Place) -> Any:
    """A row's cell.

    Raises:
        UsageError: there is no such column.
    """
    if column not in row:
        raise place.error(
            f"there is no column {column!r}{did_you_mean(column, row)}", hint=f"it has {', '.join(row) or 'none'}"
        )
    return row[column]


def _asked(row: Row, columns: Columns, place: Place) -> str | list[Mapping[str, Any]]:
    if columns.prompt:
        return filled(columns.prompt, row, place)
    if columns.input is None and "input" not in row:
        return ""
    return _input(row, columns.input or "input", place)


def _input(row: Row, column: str, place: Place) -> str | list[Mapping[str, Any]]:
    value = cell(row, column, place)
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(each, dict) and "role" in each for each in value):
        return value
    raise place.error(
        f"{column!r} is to be a text or a list of messages, and not empty",
        hint='a message is {"role": "user", "content": "..."}; name another column with dataset(..., input="...")',
    )


def _with_media(
    asked: str | list[Mapping[str, Any]], row: Row, columns: Columns, place: Place
) -> list[Mapping[str, Any]]:
    """One message of the user: the text, and what the media columns hold."""
    if not isinstance(asked, str):
        raise place.error("a whole conversation takes no media columns", hint="write the parts into its messages")
    parts = [part for name in columns.media for part in cell_parts(cell(row, name, place), name, place)]
    text = [{"type": "text", "text": asked}] if asked else []
    return [{"role": "user", "content": [*text, *parts]}]


def _shown(value: Any, place: Place) -> str:
    if isinstance(value, bytes):
        raise place.error("a column of the prompt holds bytes, which are no text", hint="name the column in `media`")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
