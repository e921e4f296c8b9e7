"""A use case: all that its folder says, ready to be asked."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmbench.chunking import Chunking
from pytest_llmbench.config import Gate
from pytest_llmbench.corruption import Damage
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.records import Reply, Sample, Score
from pytest_llmbench.sampling import Sampling
from pytest_llmbench.usecases.data import Data, Placed
from pytest_llmbench.usecases.front_matter import DataDef, Stop
from pytest_llmbench.usecases.output import Output
from pytest_llmbench.usecases.page import Page
from pytest_llmbench.validators.declared import Declared
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text, rendered

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """A use case; made by `load`."""

    name: str
    title: str
    description: str = ""
    page: Page
    prompt: Prompt
    output: Output = field(default_factory=Output)
    models: tuple[str, ...] = ()
    validators: tuple[Declared, ...] = ()
    rubric: Rubric | None = None
    """What a judge goes by."""
    judging: Judging | None = None
    """Who judges; None: nobody who is named here."""
    repeats: int = 1
    reducer: str = "mean"
    stop: tuple[Stop, ...] = ()
    """What is not asked once it could change nothing."""
    gates: tuple[Gate, ...] = ()
    tags: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    chunking: Chunking = field(default_factory=Chunking)
    request: Mapping[str, Any] = field(default_factory=dict)
    """As for `Model.ask`: `max_tokens`, `temperature`, `seed`, `stream`, and fields of the body."""
    corruption: Damage = field(default_factory=Damage)
    """How the samples are asked again."""
    data: Data
    said: DataDef = field(default_factory=DataDef)
    """What columns of the data mean."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the page says of itself and nothing here acts on: difficulty, token range, notes for evaluators."""
    is_older: bool = False
    """Whether it is written in the older page layout."""

    @property
    def folder(self) -> Path:
        """What no path of it leaves."""
        return self.page.file.parent

    def placed(self) -> Iterator[Placed]:
        """The samples in their order, with their places; read one at a time, and each can be asked.

        Raises:
            UsageError: a sample cannot be read, has no expected answer where others do and a validator needs it, or a
                variable of the prompt has no value for it; with file and line.
        """
        first: dict[bool, Placed] = {}
        for one in self.data.placed():
            self.prompt.check(one.sample)
            has_truth = not _is_nothing(one.sample.expected)
            if first.setdefault(has_truth, one) is one and len(first) == 2:
                self._check_without_truth(first[False])
            yield one

    def samples(self) -> Iterator[Sample]:
        """All samples; see `placed`. What is asked of them: `sampling.chosen(samples())`."""
        return (one.sample for one in self.placed())

    def material(self, sample: Sample, reply: Reply | str = "", *, may_execute: bool = False) -> Material:
        """What a validator looks at.

        Args:
            sample: one of its own.
            reply: what a model answered; empty where nobody was asked yet.
            may_execute: whether code that a model wrote may be run; only whoever starts a run can say so.
        """
        asked = rendered(sample.input) or rendered(dataclasses.replace(self.prompt, examples=None).messages(sample))
        source = sample.metadata.get(self.said.source) if self.said.source else None
        found = Material.of(
            sample,
            reply,
            source=asked if source is None else rendered(source) if isinstance(source, list) else str(source),
            folder=self.folder,
            schema=self.output.schema,
            labels=self._labels(),
            may_execute=may_execute,
        )
        return found if found.input_text else dataclasses.replace(found, input_text=asked)

    def scores(self, sample: Sample, reply: Reply | str, *, may_execute: bool = False) -> list[Score]:
        """What each validator says of a reply; arguments as for `material`."""
        material = self.material(sample, reply, may_execute=may_execute)
        return [validator.score(material) for validator in self.validators]

    def tags_of(self, sample: Sample) -> tuple[str, ...]:
        """The use case's tags and the sample's own: its column `tags`, a list or a text with commas."""
        own = sample.metadata.get("tags", ())
        words = own.split(",") if isinstance(own, str) else own if isinstance(own, list | tuple) else ()
        return tuple(dict.fromkeys([*self.tags, *(str(word).strip() for word in words if str(word).strip())]))

    def slices_of(self, sample: Sample) -> dict[str, str]:
        """What results are told apart by: column → value."""
        cells = {name: sample.metadata[name] for name in self.said.slices if name in sample.metadata}
        return {name: as_text(cell) for name, cell in cells.items()}

    @property
    def judges(self) -> tuple[str, ...]:
        """The models that judge: one, or a panel of several."""
        return self.judging.models if self.judging else ()

    @property
    def content_hash(self) -> str:
        """sha256 over all files of the folder but tests and hidden ones."""
        found = hashlib.sha256()
        for file in sorted(_files(self.folder), key=lambda each: each.as_posix()):
            found.update(f"{file.relative_to(self.folder).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while piece := stream.read(_CHUNK_BYTES):
                    found.update(piece)
        return found.hexdigest()

    def _check_without_truth(self, one: Placed) -> None:
        """See that no validator needs what is not there: what it cannot tell, another one would call right."""
        material = dataclasses.replace(self.material(one.sample), expected=None)
        if needing := next((each for each in self.validators if NOTHING_EXPECTED in each.defects(material)), None):
            raise one.place.error(
                f"the sample {one.sample.id!r} has no expected answer, and the validator {needing.name!r} needs one",
                hint="add it (`expected`, or a file or row of ground-truth/), or give the validator an argument",
            )

    def _labels(self) -> dict[str, str]:
        names = ("input", "expected", "id", "source")
        return {name: said for name in names if (said := getattr(self.said, name)) is not None}


def _is_nothing(expected: Any) -> bool:
    """Whether an expected answer is none: a cell of CSV that is empty says as little as a column that is not there."""
    return expected is None or (isinstance(expected, str) and not expected.strip())


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for name in files:
            is_test = name.endswith(".py") and (name.startswith("test_") or name == "conftest.py")
            if not is_test and not name.startswith(".") and (Path(where) / name).is_file():
                yield Path(where) / name
