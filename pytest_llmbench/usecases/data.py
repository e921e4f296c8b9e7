"""Where a use case's samples come from: rows or files, each with its expected answer, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pytest_llmbench.datasets import Columns, document
from pytest_llmbench.datasets.columns import cell, sample_of
from pytest_llmbench.datasets.hub import PREFIX
from pytest_llmbench.datasets.ids import Ids
from pytest_llmbench.datasets.rows import Rows, rows_of
from pytest_llmbench.questions import json_items
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.records import Sample
from pytest_llmbench.usecases import pairing, truths
from pytest_llmbench.usecases.front_matter import DataDef
from pytest_llmbench.usecases.listing import listed
from pytest_llmbench.usecases.page import Page
from pytest_llmbench.usecases.truths import Answers, Truth

GROUND_TRUTH = "ground-truth"


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample, and where it stands."""

    sample: Sample
    place: Place
    truth: Place | None = None
    """Where its expected answer stands; None: with the sample, if there is one."""


class Data(Protocol):
    """The samples of a use case."""

    def placed(self) -> Iterator[Placed]:
        """The samples in their order, read one at a time."""
        ...


@dataclass(frozen=True, slots=True)
class DeclaredData:
    """The data that a front matter declares."""

    page: Page
    said: DataDef

    @property
    def _folder(self) -> Path:
        return self.page.file.parent

    def placed(self) -> Iterator[Placed]:
        """The samples in their order, read one at a time.

        Raises:
            UsageError: a file cannot be read, an id stands there twice, an expected answer is missing, or there is no
                sample at all; with file and line.
        """
        count = 0
        for one in self._all():
            count += 1
            yield one
        if not count:
            raise self._refuse("holds no sample", "files")

    @property
    def _is_hub(self) -> bool:
        return self.said.files.startswith(PREFIX)

    def _all(self) -> Iterator[Placed]:
        if self._is_hub:
            return self._of_rows(rows_of(self.said.files))
        files = self._data_files()
        if self._rows_only(files):
            of_rows = [file for file in files if truths.holds_rows(file, self.said.items) or not self.said.media]
            return self._of_rows(each for file in of_rows for each in truths.rows(file, self.said.items))
        return self._of_files(files)

    def _data_files(self) -> list[Path]:
        return listed(self._folder, self.said.files, lambda message: self._refuse(message, "files"))

    def _truth_files(self) -> list[Path]:
        is_usual = self.said.ground_truth == GROUND_TRUTH
        if is_usual and not (self._folder / GROUND_TRUTH).exists():
            return []
        return listed(self._folder, self.said.ground_truth, lambda message: self._refuse(message, "ground_truth"))

    def _rows_only(self, files: list[Path]) -> bool:
        """Whether samples are rows.

        Raises:
            ConfigError: some files hold rows and some do not.
        """
        if self.said.each:
            return self.said.each == "row"
        of_rows = [file for file in files if truths.holds_rows(file, self.said.items)]
        if of_rows and len(of_rows) < len(files) and not self.said.media:
            other = next(file for file in files if file not in of_rows)
            raise self._refuse(
                f"{of_rows[0].name} holds rows, {other.name} is one sample: what is a sample here?",
                "files",
                hint="say `each: row` or `each: file`, or name the files that are meant: files: data/*.jsonl",
            )
        return bool(of_rows)

    def _of_rows(self, rows: Rows) -> Iterator[Placed]:
        ids, columns, answers = Ids(self.said.id), None, self._answers()
        for place, row in rows:
            columns = columns or self._columns(row)
            sample = _with_named_input(sample_of(ids.of(row, place), row, columns, place), row, columns)
            if self.said.source:
                cell(row, self.said.source, place)
            yield self._answered(sample, place, answers) if answers else Placed(sample, place)
        if answers and (error := next(answers.unused(), None)):
            raise error

    def _answers(self) -> Answers | None:
        """The expected answers of samples that are rows: rows with the same ids, or files with the names of these."""
        files = self._truth_files()
        if not files:
            return None
        if all(truths.holds_rows(file, self.said.items) for file in files):
            return Answers(truths.by_id(files, self.said))
        folder = self._truth_folder(files)
        return Answers({pairing.name_of(file, folder): truths.in_file(file) for file in files})

    def _answered(self, sample: Sample, place: Place, answers: Answers) -> Placed:
        if sample.expected is not None:
            raise place.error(
                f"the expected answer of {sample.id!r} stands here and in {self.said.ground_truth}/, too",
                hint="keep one of the two",
            )
        truth = answers.of(sample.id, place)
        return Placed(replace(sample, expected=truth.expected), place, truth.place)

    def _columns(self, row: Mapping[str, Any]) -> Columns:
        """The columns, once the first row tells whether there is an input."""
        said = self.said
        asked = said.input or ("input" if "input" in row else None)
        return Columns(input=asked, expected=said.expected, id=said.id, media=tuple(said.media))

    def _of_files(self, files: list[Path]) -> Iterator[Placed]:
        folder = self._data_folder(files)
        names: dict[str, Path] = {}
        for file in files:
            if (twin := names.setdefault(pairing.name_of(file, folder), file)) is not file:
                raise Place(file, 1).error(
                    f"{twin.name} has the same name",
                    hint="a sample is one file; several go into rows with `media:` columns",
                )
        pairs = self._pairs(names)
        for name, file in names.items():
            yield file_sample(name, file, self.said, truths.in_file(pairs[name]) if pairs else None)

    def _pairs(self, names: Mapping[str, Path]) -> dict[str, Path]:
        files = self._truth_files()
        if not files:
            return {}
        folder = self._truth_folder(files)
        return pairing.by_name(names, {file: pairing.name_of(file, folder) for file in files}, folder)

    def _data_folder(self, files: list[Path]) -> Path:
        return _folder_of(self._folder / self.said.files, files)

    def _truth_folder(self, files: list[Path]) -> Path:
        return _folder_of(self._folder / self.said.ground_truth, files)

    def _refuse(self, message: str, key: str, *, hint: str = "") -> Any:
        return self.page.error(("data", key), message, hint=hint)


def file_sample(name: str, file: Path, said: DataDef, truth: Truth | None) -> Placed:
    """The sample that a file is.

    Args:
        name: its id.
        file: a text, a picture, a sound, ...; of a JSON object the keys are the sample's columns, too.
        said: which columns of a JSON object mean what.
        truth: the expected answer, where it stands in a file of its own.

    Raises:
        UsageError: it cannot be read; with file and line.
    """
    place = Place(file, 1)
    id_ = Ids(None).of({"id": name}, place)
    held = json_items.value(file) if file.suffix.lower() == ".json" else None
    row = held if isinstance(held, dict) else {}
    if (column := said.input or ("input" if "input" in row else None)) and row:
        sample = sample_of(id_, row, Columns(input=column, expected=said.expected), place)
    elif (answer := said.expected or "expected") in row:
        asked = {key: value for key, value in row.items() if key != answer}  # else it would tell the model
        sample = Sample(id_, json.dumps(asked, indent=2, ensure_ascii=False), row[answer], asked)
    else:
        sample = Sample(id_, _message(document(file)), None, row)
    sample = replace(sample, metadata={"file": file.name, **sample.metadata})
    if truth is None:
        return Placed(sample, place)
    return Placed(replace(sample, expected=truth.expected), place, truth.place)


def _with_named_input(sample: Sample, row: Mapping[str, Any], columns: Columns) -> Sample:
    """The sample with its input under the column's own name, too: `{{question}}` of `data: {input: question}`."""
    name = columns.input
    if name is None or name == "input":
        return sample
    return replace(sample, metadata={name: row[name], **sample.metadata})


def _message(content: Any) -> Any:
    """Text as it is; parts as the message that they make."""
    return content if isinstance(content, str) else [{"role": "user", "content": content}]


def _folder_of(said: Path, files: list[Path]) -> Path:
    """The folder that names begin at: the one that was said; of a glob or a file the nearest around all files."""
    if said.is_dir():
        return said
    folder = files[0].parent
    while not all(file.is_relative_to(folder) for file in files):
        folder = folder.parent
    return folder
