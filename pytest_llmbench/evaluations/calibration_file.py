"""`*.calibration.yaml`: which judges are held against which labels of people, by which rubric."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from pytest_llmbench.config import confined, strict_yaml
from pytest_llmbench.config.strict import Strict, problem
from pytest_llmbench.config.strict_yaml import Document
from pytest_llmbench.config.validating import validated
from pytest_llmbench.datasets.ids import Ids
from pytest_llmbench.datasets.rows import rows_of
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.evaluations.human_labels import Column, preference, verdict
from pytest_llmbench.judges import asking, choosing, rubric_reading
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.rubric_schema import built
from pytest_llmbench.own_tests import CALIBRATION
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.usecases.front_matter import Names, RequestDef, RubricDef
from pytest_llmbench.usecases.judged import request_of

FEWEST = 2
"""Labels from which agreement can be told."""
_OTHER = {"pass": "fail", "fail": "pass"}
_HINT = "docs/how-to/calibrate-a-judge.md shows a whole one"


class ColumnsDef(Strict):
    """Which columns mean what."""

    id: str = Field(default="id", min_length=1, description="unique; the row's content where there is none")
    question: str = Field(default="question", min_length=1, description="what the user asked")
    reply: str = Field(default="reply", min_length=1, description="of the labels: what was answered")
    reply_a: str = Field(default="reply_a", min_length=1, description="of the pairs: one answer")
    reply_b: str = Field(default="reply_b", min_length=1, description="of the pairs: the other")
    expected: str = Field(default="expected", min_length=1, description="an expected answer, where there is one")
    source: str = Field(default="source", min_length=1, description="the document to stay within, where there is one")
    model: str = Field(default="model", min_length=1, description="who wrote the reply, where that is known")
    human: str = Field(default="human", min_length=1, description="what people said")


class CalibrationDef(Strict):
    """The whole of a calibration file."""

    rubric: Annotated[
        RubricDef, BeforeValidator(lambda value: {"text": value} if isinstance(value, str) else value)
    ] = Field(description="a shipped name, the text, {file: x.md}, or name and criteria")
    judges: Names = Field(default=[], description="models: name:QUANT or provider/name")
    labels: str = Field(default="", description="a file of labelled replies: .jsonl, .csv, .yaml or .parquet")
    pairs: str = Field(default="", description="a file of labelled pairs")
    columns: ColumnsDef = Field(default=ColumnsDef(), description="which columns mean what")
    pass_from: float | None = Field(default=None, description="the number from which a label is a pass")
    request: RequestDef = Field(default=RequestDef(), description="how judges are asked")

    @model_validator(mode="after")
    def _has_labels(self) -> CalibrationDef:
        if not self.labels and not self.pairs:
            raise problem("there is nothing to hold judges against: name a file of labels, of pairs, or both", "labels")
        return self


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One reply, and what people said of it."""

    id: str
    matter: Matter
    human: str
    """`pass` or `fail`."""
    model: str


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two replies to one question, and which people preferred."""

    id: str
    a: Matter
    b: Matter
    human: str
    """`a`, `b` or `tie`."""


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """A calibration as its file says, with its rows."""

    name: str
    rubric: Rubric
    judging: Judging | None
    """None: the file names nobody."""
    labels: tuple[LabelRow, ...]
    labels_hash: str
    pairs: tuple[PairRow, ...]
    pairs_hash: str


def load(path: Path) -> CalibrationFile:
    """A calibration file, its rubric and its rows.

    Raises:
        UsageError: something in it or in its data cannot be used; with file and line.
    """
    document = strict_yaml.read(path, strict_yaml.shown(path))
    said = validated(CalibrationDef, document, hint=_HINT)
    name = path.name.removesuffix(CALIBRATION)
    rubric = _rubric(said.rubric, document, path.parent, name)
    reader = _Reader(said, rubric)
    labels = _file(document, "labels", said.labels, path.parent)
    pairs = _file(document, "pairs", said.pairs, path.parent)
    replies = tuple(reader.labels(labels)) if labels else ()
    if labels:
        _refuse_alike(document, said.labels, [row.human for row in replies])
    return CalibrationFile(
        name=name,
        rubric=rubric,
        judging=Judging(tuple(said.judges), request=request_of(said.request)) if said.judges else None,
        labels=replies,
        labels_hash=_hash(labels),
        pairs=tuple(reader.pairs(pairs)) if pairs else (),
        pairs_hash=_hash(pairs),
    )


class _Reader:
    """Rows as a calibration file means them.

    Args:
        said: the file.
        rubric: what it needs has to be in every row.
    """

    def __init__(self, said: CalibrationDef, rubric: Rubric) -> None:
        self._columns = said.columns
        self._pass_from = said.pass_from
        self._rubric = rubric

    def labels(self, path: Path) -> Iterator[LabelRow]:
        """The rows of labelled replies."""
        ids = Ids(None if self._columns.id == "id" else self._columns.id)
        for place, row in rows_of(path):
            matter = self._matter(row, place, self._columns.reply)
            human = verdict(Column(row, self._columns.human, place), self._pass_from)
            model = str(row.get(self._columns.model) or "")
            yield LabelRow(ids.of(row, place), matter, human, model)

    def pairs(self, path: Path) -> Iterator[PairRow]:
        """The rows of labelled pairs."""
        ids = Ids(None if self._columns.id == "id" else self._columns.id)
        for place, row in rows_of(path):
            a, b = (self._matter(row, place, name) for name in (self._columns.reply_a, self._columns.reply_b))
            yield PairRow(ids.of(row, place), a, b, preference(Column(row, self._columns.human, place)))

    def _matter(self, row: Mapping[str, Any], place: Place, reply: str) -> Matter:
        needs, columns = self._rubric.needs, self._columns
        matter = Matter(
            question=Column(row, columns.question, place).text(),
            reply=Column(row, reply, place).text(),
            source=Column(row, columns.source, place).text() if "source" in needs else "",
            expected=Column(row, columns.expected, place).text() if "expected" in needs else "",
        )
        if why := asking.lacking(self._rubric, matter):
            raise place.error(why)
        return matter


def _rubric(said: RubricDef, document: Document, folder: Path, called: str) -> Rubric:
    if said.file:
        file = _inside(document, ("rubric", "file"), said.file, folder)
        return rubric_reading.read_file(file, name=strict_yaml.shown(file))
    if said.criteria:
        return built(said, called, document.name)
    where = f"{document.name}:{document.line(('rubric',))}: rubric"
    return choosing.of_text(said.text, where, called=called)


def _file(document: Document, key: str, text: str, folder: Path) -> Path | None:
    return _inside(document, (key,), text, folder) if text else None


def _inside(document: Document, keys: tuple[str, ...], text: str, folder: Path) -> Path:
    try:
        return confined.file_inside(folder, text)
    except ValueError as error:
        raise ConfigError(f"{document.name}:{document.line(keys)}: {'.'.join(keys)}: {error}") from None


def _error(document: Document, key: str, message: str, *, hint: str = _HINT) -> UsageError:
    return ConfigError(f"{document.name}:{document.line((key,))}: {key}: {message}", hint=hint)


def _refuse_alike(document: Document, file: str, said: Sequence[str]) -> None:
    """Labels that show nothing of a judge, whatever it says of them."""
    if len(said) < FEWEST:
        raise _error(document, "labels", f"{file} holds {len(said)} label: {FEWEST} or more are needed")
    if len(set(said)) == 1:
        told = f"all {len(said)} labels of {file} are {said[0]!r}: whether a judge tells good from bad would not show"
        raise _error(document, "labels", told, hint=f"label replies that {_OTHER[said[0]]}, too; best as many as these")


def _hash(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
