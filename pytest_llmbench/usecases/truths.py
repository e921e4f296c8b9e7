"""Expected answers that stand in files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.datasets.ids import Ids
from pytest_llmbench.datasets.rows import ROW_KINDS, Rows, kind_of, rows_of
from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions import json_items
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.usecases.front_matter import DataDef

_PEEKED = 4096


@dataclass(frozen=True, slots=True)
class Truth:
    """An expected answer."""

    place: Place
    """Where it stands."""
    expected: Any


def holds_rows(file: Path, items: str = "") -> bool:
    """Whether a file is a list of samples by its kind: JSONL, CSV, YAML, Parquet, or JSON with a list.

    Args:
        file: of the data or the ground truth.
        items: of JSON that holds an object: the key of the list in it.
    """
    if file.suffix.lower() == ".json":
        return bool(items) or _begins_with_a_list(file)
    return kind_of(file) in ROW_KINDS


def rows(file: Path, items: str = "") -> Rows:
    """The rows of a file, and where each stands.

    Raises:
        UsageError: it holds none; with file and line.
    """
    return json_items.items(file, items) if file.suffix.lower() == ".json" else rows_of(file)


def in_file(file: Path) -> Truth:
    """The expected answer that a file is: what its JSON says, or its text without the last line's end.

    Raises:
        UsageError: it cannot be read, is empty, or is neither; with file and line.
    """
    place = Place(file, 1)
    if file.suffix.lower() == ".json":
        held = json_items.value(file)
        if held is None:
            raise place.error("the expected answer is empty")
        return Truth(place, held)
    text = json_items.whole_text(file)
    if not text.strip():
        raise place.error("the expected answer is empty")
    if "\0" in text:
        raise place.error("there is a NUL character; an expected answer is a text")
    return Truth(place, text.rstrip("\r\n"))


def by_id(files: list[Path], said: DataDef) -> dict[str, Truth]:
    """The expected answers that stand in rows, by the id of their samples.

    Args:
        files: with rows.
        said: which columns mean what. A row without a column for the expected answer is itself the answer, less its id.

    Raises:
        UsageError: a row has no id, or one that stands there already; with file and line.
    """
    found: dict[str, Truth] = {}
    ids = Ids(said.id or "id")
    for file in files:
        for place, row in rows(file):
            found[ids.of(row, place)] = Truth(place, _answer(row, said))
    return found


def _answer(row: Mapping[str, Any], said: DataDef) -> Any:
    column = said.expected or "expected"
    return row[column] if column in row else {name: cell for name, cell in row.items() if name != (said.id or "id")}


class Answers:
    """The expected answers of samples that are rows, each taken once."""

    def __init__(self, truths: Mapping[str, Truth]) -> None:
        self._truths = truths
        self._left = set(truths)

    def of(self, id_: str, place: Place) -> Truth:
        """The answer of a sample.

        Raises:
            UsageError: there is none; with the place of the sample.
        """
        if id_ not in self._truths:
            raise place.error(
                f"there is no expected answer for {id_!r}", hint="add a row with this id, or take it away"
            )
        self._left.discard(id_)
        return self._truths[id_]

    def unused(self) -> Iterator[UsageError]:
        """An error for each answer that belongs to no sample."""
        for id_ in sorted(self._left):
            yield self._truths[id_].place.error(f"there is no sample {id_!r} in the data")


def _begins_with_a_list(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(_PEEKED).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except OSError:
        return False  # whoever reads it says why it cannot be read
