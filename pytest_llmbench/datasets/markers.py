"""What a `dataset` marker says, and the datasets of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pytest_llmbench.datasets.files import Columns, Dataset, read
from pytest_llmbench.errors import UsageError

_COLUMNS = ("input", "expected", "id", "prompt")


class Marker(Protocol):
    """A marker as pytest hands it on."""

    @property
    def args(self) -> tuple[Any, ...]: ...

    @property
    def kwargs(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Declared:
    """What a `dataset` marker says."""

    path: Path
    columns: Columns
    limit: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    """As for `Model.ask`."""


class Datasets:
    """The datasets of a session, each read once."""

    def __init__(self) -> None:
        self._read: dict[str, Dataset] = {}
        self._declared: dict[int, tuple[Marker, Declared]] = {}
        """By the marker's identity: a test of a thousand samples has one. The marker is held, so that it stays so."""

    def declared(self, mark: Marker | None, folder: Path) -> Declared:
        """What a `dataset` marker says.

        Args:
            mark: the marker; None: there is none.
            folder: of the test file.

        Raises:
            UsageError: there is none, or its arguments are none.
        """
        if mark is None:
            raise UsageError(
                "the fixtures `sample`, `reply` and `dataset` need to know of what",
                hint="mark the test with @pytest.mark.dataset('questions.jsonl')",
            )
        if id(mark) not in self._declared:
            self._declared[id(mark)] = mark, declared(mark.args, mark.kwargs, folder)
        return self._declared[id(mark)][1]

    def of(self, mark: Marker | None, folder: Path) -> Dataset:
        """The dataset that a test is marked with; arguments and errors as for `declared`, and the file's."""
        said = self.declared(mark, folder)
        if (key := repr(said)) not in self._read:
            self._read[key] = read(said.path, said.columns, said.options, limit=said.limit)
        return self._read[key]


def declared(args: Sequence[Any], kwargs: Mapping[str, Any], folder: Path) -> Declared:
    """What the arguments of a `dataset` marker mean.

    Args:
        args: one path, relative to `folder`.
        kwargs: columns, `limit`, and options as for `Model.ask`.
        folder: of the test file.

    Raises:
        UsageError: an argument is missing, or of the wrong kind.
    """
    if len(args) != 1 or not isinstance(args[0], str | Path):
        raise UsageError(
            f"dataset() takes one path and then names with values, not {', '.join(map(repr, args)) or 'nothing'}",
            hint="@pytest.mark.dataset('questions.jsonl', input='question', expected='answer')",
        )
    columns = {name: kwargs[name] for name in _COLUMNS if kwargs.get(name) is not None}
    if wrong := next((name for name, value in columns.items() if not isinstance(value, str)), None):
        raise UsageError(f"dataset(..., {wrong}=) is to be a text, not {columns[wrong]!r}")
    limit = kwargs.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"dataset(..., limit=) is a number from 1 on, not {limit!r}")
    options = {name: value for name, value in kwargs.items() if name not in (*_COLUMNS, "limit")}
    return Declared((folder / args[0]).absolute(), Columns(**columns), limit, {"stream": False, **options})
