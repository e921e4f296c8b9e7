"""The objects of a list in a JSON file, each with the line it begins on; errors name the file and the line."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.questions.rows import Place

MAX_JSON_BYTES = 64_000_000
"""A JSON file is read whole; what is larger belongs into JSONL."""

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(**strict_json.HOOKS)


def items(file: Path, key: str = "") -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The objects of the list that a JSON file holds.

    Args:
        file: a JSON file in UTF-8.
        key: where the file holds an object: the key of the list in it.

    Raises:
        UsageError: the file cannot be read, is no JSON, or holds no such list; an item is no object.
    """
    text = whole_text(file)
    found = _Text(file, text)
    for place, item in found.list_at(found.start_of(key)):
        if not isinstance(item, dict):
            raise place.error(f"a JSON object is wanted, not {type(item).__name__}")
        yield place, item


def value(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UsageError: the file cannot be read, or is no JSON.
    """
    found = _Text(file, whole_text(file))
    made, end = found.decoded(found.after_space(0))
    if found.after_space(end) < len(found.text):
        raise found.place(found.after_space(end)).error("there is more behind the JSON value")
    return made


def whole_text(file: Path, limit: int = MAX_JSON_BYTES) -> str:
    """A UTF-8 text; a byte order mark is taken off.

    Raises:
        UsageError: it cannot be read, is larger than `limit` bytes, or is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise Place(file, 1).error(f"cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise Place(file, 1).error(f"the file is larger than {limit} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(file, content.count(b"\n", 0, error.start) + 1)
        raise place.error(f"not UTF-8: {error.reason} at byte {error.start}", hint="save the file as UTF-8") from None


class _Text:
    """A JSON text that is decoded a value at a time."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self.text = text
        self._line_ends = [found.start() for found in re.finditer("\n", text)]

    def place(self, offset: int) -> Place:
        return Place(self._file, bisect_right(self._line_ends, offset - 1) + 1)

    def after_space(self, offset: int) -> int:
        found = _SPACE.match(self.text, offset)
        return found.end() if found else offset

    def decoded(self, offset: int) -> tuple[Any, int]:
        """The value that begins here, and where it ends."""
        try:
            return _DECODER.raw_decode(self.text, offset)
        except RecursionError:
            raise self.place(offset).error("the JSON is nested too deeply") from None
        except json.JSONDecodeError as error:
            raise Place(self._file, error.lineno).error(f"not JSON: {error.msg}") from None
        except ValueError as error:
            raise self.place(offset).error(f"not JSON: {error}") from None

    def start_of(self, key: str) -> int:
        """Where the list begins: that of the file, or that under a key of its object."""
        start = self.after_space(0)
        if not key:
            return start
        for name, offset in self._members(start):
            if name == key:
                return offset
        raise self.place(start).error(f"there is no key {key!r}", hint="a JSON object with a list under this key")

    def list_at(self, start: int) -> Iterator[tuple[Place, Any]]:
        """The items of the list that begins here."""
        if self.text[start : start + 1] != "[":
            raise self.place(start).error("a JSON list is wanted", hint="`data: {items: KEY}` names the list")
        offset = self.after_space(start + 1)
        while self.text[offset : offset + 1] != "]":
            item, end = self.decoded(offset)
            yield self.place(offset), item
            offset = self._next(end, "]")
        end = self.after_space(offset + 1)
        if start == self.after_space(0) and end < len(self.text):
            raise self.place(end).error("there is more behind the JSON list")

    def _members(self, start: int) -> Iterator[tuple[str, int]]:
        """Key and beginning of the value, of the object that begins here; values are looked at on the way."""
        if self.text[start : start + 1] != "{":
            raise self.place(start).error("a JSON object is wanted")
        offset = self.after_space(start + 1)
        while self.text[offset : offset + 1] != "}":
            name, end = self.decoded(offset)
            colon = self.after_space(end)
            if not isinstance(name, str) or self.text[colon : colon + 1] != ":":
                raise self.place(offset).error("not JSON: a key and a colon are wanted")
            offset = self.after_space(colon + 1)
            yield name, offset
            offset = self._next(self.decoded(offset)[1], "}")

    def _next(self, end: int, closing: str) -> int:
        """Where the next item begins, or the closing bracket stands."""
        offset = self.after_space(end)
        if self.text[offset : offset + 1] == closing:
            return offset
        if self.text[offset : offset + 1] != ",":
            raise self.place(min(offset, len(self.text))).error(f"not JSON: a comma or {closing} is wanted")
        after = self.after_space(offset + 1)
        if self.text[after : after + 1] == closing:
            raise self.place(after).error("not JSON: there is a comma before the end")
        return after
