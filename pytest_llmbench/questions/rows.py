"""Rows of JSONL and CSV files, read one at a time and within bounds; errors name the file and the line.

Files of strangers are data: nothing in them is run, and no line, however long, is taken into memory whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pytest_llmbench.config import strict_json
from pytest_llmbench.errors import UsageError

MAX_LINE_BYTES = 1_000_000
MAX_FILE_BYTES = 1 << 30
"""Unpacked: a gzip file of one megabyte can hold a thousand."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands."""

    file: Path
    line: int
    """From 1; of a row over several lines the last."""
    unit: str = "line"
    """What is counted: `row` of files that have no lines."""

    def error(self, message: str, *, hint: str = "") -> UsageError:
        """A mistake in this row."""
        return UsageError(f"{self}: {message}", hint=hint)

    def named(self, name: str) -> str:
        """The place, its file called so: `a.jsonl:3`, to which editors jump, or `a.parquet, row 3`."""
        return f"{name}:{self.line}" if self.unit == "line" else f"{name}, {self.unit} {self.line}"

    def __str__(self) -> str:
        return self.named(str(self.file))


def json_rows(file: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The objects of a JSONL file (`.gz` is unpacked); empty lines are left out.

    Raises:
        UsageError: the file cannot be read, or a line is too long or no JSON object.
    """
    for place, line in _lines(file):
        if not line.strip():
            continue
        try:
            row = json.loads(line, **strict_json.HOOKS)
        except RecursionError:
            raise place.error("the JSON is nested too deeply") from None
        except ValueError as error:
            raise place.error(f"not JSON: {error}", hint="one JSON object a line") from None
        if not isinstance(row, dict):
            raise place.error(f"a JSON object is wanted, not {type(row).__name__}")
        yield place, row


def csv_rows(file: Path) -> Iterator[tuple[Place, list[str]]]:
    """The rows of a CSV file, as they stand; empty ones are left out.

    Raises:
        UsageError: the file cannot be read, or a row is too long or not CSV.
    """
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        for place, line in _lines(file):
            count = place.line
            yield line

    rows = csv.reader(counted(), strict=True)
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield Place(file, count), row
    except csv.Error as error:
        raise Place(file, count).error(f"not CSV: {error}", hint="texts with commas or line ends need quotes") from None


def whole_text(file: Path) -> str:
    """A short text file (a prompt, a story) as it stands.

    Raises:
        UsageError: it cannot be read, is no UTF-8, or is longer than a megabyte.
    """
    kept, size = [], 0
    for place, line in _lines(file):
        size += len(line)
        if size > MAX_LINE_BYTES:
            raise place.error(f"the file is longer than {MAX_LINE_BYTES} characters")
        kept.append(line)
    return "".join(kept)


def _lines(file: Path) -> Iterator[tuple[Place, str]]:
    """The lines of a UTF-8 file; a byte order mark is taken off."""
    number, total = 0, 0
    try:
        with _opened(file) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number, total = number + 1, total + len(line)
                yield Place(file, number), _text(line, Place(file, number), total)
    except (OSError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{file} cannot be read: {why}") from None


def _opened(file: Path) -> IO[bytes]:
    return io.BufferedReader(gzip.open(file)) if file.suffix.lower() == ".gz" else file.open("rb")


def _text(line: bytes, place: Place, total: int) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise place.error(f"the line is longer than {MAX_LINE_BYTES} bytes")
    if total > MAX_FILE_BYTES:
        raise place.error(f"the file is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = line.decode("utf-8-sig" if place.line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise place.error(f"not UTF-8: {error.reason} at byte {error.start}", hint="save the file as UTF-8") from None
    if "\0" in text:
        raise place.error("there is a NUL character; is this a text file?")
    return text
