"""What a `dataset` marker says, and the datasets of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Protocol

from pytest_llmbench.datasets.columns import Columns
from pytest_llmbench.datasets.files import Dataset, read
from pytest_llmbench.datasets.hub import PREFIX
from pytest_llmbench.errors import UsageError

_COLUMNS = ("input", "expected", "id", "prompt")
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "system": ((str, NoneType), "a text"),
    "max_tokens": ((int, NoneType), "a whole number from 1 on"),
    "temperature": ((int, float, NoneType), "a number"),
    "seed": ((int, NoneType), "a whole number"),
    "stream": ((bool,), "True or False"),
}
"""Our own options of a request → of which types they are, and in words. All others are fields of the body."""
_TYPING_ERROR = 0.88
"""How much alike a field's name and one of ours are when one was meant for the other."""


class Marker(Protocol):
    """A marker as pytest hands it on."""

    @property
    def args(self) -> tuple[Any, ...]: ...

    @property
    def kwargs(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Declared:
    """What a `dataset` marker says."""

    source: Path | str
    """A file, or a Hugging Face dataset, `hf:NAME`."""
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
            self._read[key] = read(said.source, said.columns, said.options, limit=said.limit)
        return self._read[key]


def declared(args: Sequence[Any], kwargs: Mapping[str, Any], folder: Path) -> Declared:
    """What the arguments of a `dataset` marker mean.

    Args:
        args: one path, relative to `folder`, or `hf:NAME`.
        kwargs: columns, `media` (one column or several), `limit`, and options as for `Model.ask`.
        folder: of the test file.

    Raises:
        UsageError: an argument is missing, or of the wrong kind.
    """
    if len(args) != 1 or not isinstance(args[0], str | Path):
        raise UsageError(
            f"dataset() takes one path and then names with values, not {', '.join(map(repr, args)) or 'nothing'}",
            hint="@pytest.mark.dataset('questions.jsonl', input='question', expected='answer')",
        )
    columns: dict[str, Any] = {name: kwargs[name] for name in _COLUMNS if kwargs.get(name) is not None}
    if wrong := next((name for name, value in columns.items() if not isinstance(value, str)), None):
        raise UsageError(f"dataset(..., {wrong}=) is to be a text, not {columns[wrong]!r}")
    columns["media"] = _media(kwargs.get("media", ()))
    limit = kwargs.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"dataset(..., limit=) is a number from 1 on, not {limit!r}")
    options = {name: value for name, value in kwargs.items() if name not in (*_COLUMNS, "media", "limit")}
    _check(options)
    return Declared(_source(args[0], folder), Columns(**columns), limit, {"stream": False, **options})


def _source(said: str | Path, folder: Path) -> Path | str:
    return said if isinstance(said, str) and said.startswith(PREFIX) else (folder / said).absolute()


def _media(said: Any) -> tuple[str, ...]:
    names = (said,) if isinstance(said, str) else said
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"dataset(..., media=) is to be a column's name, or a list of them, not {said!r}")
    return tuple(names)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse what no request can hold: told at collection it costs nothing, told by a provider it costs a run."""
    for name, value in options.items():
        if name not in _KINDS:
            if near := get_close_matches(name, (*_COLUMNS, "limit", *_KINDS), n=1, cutoff=_TYPING_ERROR):
                raise UsageError(f"dataset(..., {name}=): did you mean {near[0]}=?")
            continue
        types, words = _KINDS[name]
        wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        if wrong or (name == "max_tokens" and value is not None and value < 1):
            raise UsageError(f"dataset(..., {name}=) is {words}, not {value!r}")
