"""The data of an older page: files whose names begin alike, and tables whose rows share an id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_llmbench.datasets.columns import Row
from pytest_llmbench.datasets.ids import Ids
from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions import json_items
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.records import Sample
from pytest_llmbench.usecases import pairing, truths
from pytest_llmbench.usecases.data import GROUND_TRUTH, Placed, file_sample
from pytest_llmbench.usecases.front_matter import DataDef
from pytest_llmbench.usecases.listing import listed
from pytest_llmbench.usecases.page import Page
from pytest_llmbench.usecases.truths import Answers, Truth

_DATA = "data"

MATCH, NO_MATCH = "match", "no_match"
_EXAMPLES = {MATCH: "positive", NO_MATCH: "negative"}
"""Column for a validator → the word that names such texts."""
_PATTERNS = ("regex", "pattern")

Table = list[tuple[Place, Row]]


@dataclass(frozen=True, slots=True)
class OlderData:
    """The data beside an older page."""

    page: Page
    kind: str
    """What the page's fence names: `csv`, `json`, or nothing."""

    def placed(self) -> Iterator[Placed]:
        """The samples, read file by file: rows where data and expected answers are tables with the same ids.

        Raises:
            UsageError: a file cannot be read, has no expected answer, or several; with file and line.
        """
        names, answers = self._named(_DATA), self._named(GROUND_TRUTH)
        twins: dict[str, Path] = {}
        for file, name in names.items():
            if (twin := twins.setdefault(name, file)) is not file:
                raise Place(file, 1).error(f"{twin.name} has the same name", hint="a sample is one file")
        pairs = pairing.by_beginning(twins, answers, self._folder / GROUND_TRUTH, self.kind)
        for name, file in twins.items():
            joined = _joined(file, pairs[name])
            if joined:
                yield from joined
            else:
                yield file_sample(name, file, DataDef(), truths.in_file(pairs[name]))

    @property
    def _folder(self) -> Path:
        return self.page.file.parent

    def _named(self, below: str) -> dict[Path, str]:
        files = listed(self._folder, below, lambda message: self.page.error_at(1, message))
        return {file: pairing.name_of(file, self._folder / below) for file in files}


@dataclass(frozen=True, slots=True)
class PatternData:
    """Data whose expected answers are patterns, with texts that these match and texts that they do not."""

    data: OlderData
    field: str
    """Of the expected answer: holds the pattern."""

    def placed(self) -> Iterator[Placed]:
        """The samples; the texts of the data and those held out in the answer stand in two columns of their own."""
        for one in self.data.placed():
            expected = one.sample.expected if isinstance(one.sample.expected, Mapping) else {}
            columns = {**expected, **one.sample.metadata}
            texts = {name: _texts(columns, word) for name, word in _EXAMPLES.items()}
            yield replace(one, sample=replace(one.sample, metadata={**one.sample.metadata, **texts}))


def with_patterns(data: OlderData) -> OlderData | PatternData:
    """The data as patterns with examples, where their first sample looks so.

    Raises:
        UsageError: they cannot be read.
    """
    first = next(data.placed(), None)
    expected = first.sample.expected if first else None
    if first is None or not isinstance(expected, Mapping):
        return data
    field = next((name for name in _PATTERNS if isinstance(expected.get(name), str)), "")
    columns = {**expected, **first.sample.metadata}
    has_examples = any(_texts(columns, word) for word in _EXAMPLES.values())
    return PatternData(data, field) if field and has_examples else data


def _texts(columns: Mapping[str, Any], word: str) -> list[str]:
    """The texts of all columns that are lists and have this word in their name."""
    lists = (cell for name, cell in columns.items() if word in name.lower() and isinstance(cell, list))
    return [text for cell in lists for text in cell if isinstance(text, str)]


def _joined(file: Path, answers: Path) -> list[Placed]:
    """The samples of a table of data whose rows have their answers in another table; none where they have not."""
    best: tuple[int, str, Table, Table] = (0, "", [], [])
    for data in _tables(file):
        for truth in _tables(answers):
            for key in _keys(data) & _keys(truth):
                shared = len({row[key] for _, row in data} & {row[key] for _, row in truth})
                best = max(best, (shared, key, data, truth), key=lambda each: each[0])
    shared, key, data, truth = best
    return _samples(key, data, truth) if shared * 2 >= max(len(data), 1) else []


def _samples(key: str, data: Table, truth: Table) -> list[Placed]:
    ids, its = Ids(key), Ids(key)
    answers = Answers({its.of(row, place): Truth(place, row) for place, row in truth})
    found = []
    for place, row in data:
        id_ = ids.of(row, place)
        answer = answers.of(id_, place)
        asked = json.dumps(row, indent=2, ensure_ascii=False)
        found.append(Placed(Sample(id_, asked, answer.expected, row), place, answer.place))
    if error := next(answers.unused(), None):
        raise error
    return found


def _tables(file: Path) -> list[Table]:
    """The tables in a file: its rows, or the lists of objects in its JSON."""
    if file.suffix.lower() != ".json":
        return _table(file) if truths.holds_rows(file) else []
    held = json_items.value(file)
    if isinstance(held, list):
        return [list(json_items.items(file))] if _are_objects(held) else []
    keys = [key for key, value in held.items() if _are_objects(value)] if isinstance(held, dict) else []
    return [list(json_items.items(file, key)) for key in keys]


def _table(file: Path) -> list[Table]:
    try:
        return [list(truths.rows(file))]
    except UsageError:
        return []  # a table with faults is one text to a model that is to find them


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _keys(table: Table) -> set[str]:
    """The columns that tell rows apart by their name and by what they hold."""
    first = table[0][1] if table else {}
    named = {name for name in first if name.lower() == "id" or name.lower().endswith(("_id", "-id"))}
    return {name for name in named if _tells_apart(name, table)}


def _tells_apart(name: str, table: Table) -> bool:
    cells = [row.get(name) for _, row in table]
    usable = all(isinstance(cell, str | int) and not isinstance(cell, bool) for cell in cells)
    return usable and len(set(cells)) == len(cells)
