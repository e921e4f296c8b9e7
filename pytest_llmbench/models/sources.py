"""The kinds of sources a model's file can come from, recognised by their prefix. A new kind is one row here and one in
`config/source_forms.py`, which says how it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.config import source_forms
from pytest_llmbench.models import hub, ollama, pypi, web
from pytest_llmbench.models.transfer import Fetched, Order


@dataclass(frozen=True, slots=True)
class SourceKind:
    """What a kind of source can do: either its files lie on this machine, or they are downloaded."""

    prefix: str
    locate: Callable[[str], Path] | None = None
    """In place: where the source's file lies. It stays there, may change as its owner likes, and is not pinned.

    Raises `ModelFileError` (`model_missing`) where that cannot be told.
    """
    check: Callable[[Path, str], None] | None = None
    """In place: holds a file's sha256 against what its owner says of it; raises `ModelFileError` where they differ."""
    fetch: Callable[[Order], Fetched] | None = None
    """Downloads the files of an order; raises `ModelFileError`, and `OSError` where they cannot be written."""
    parts: Callable[[str], int] = lambda _source: 1
    """How many files the source has."""


def _as_path(source: str) -> Path:
    return Path(source.removeprefix(source_forms.PATH)).expanduser().absolute()


KINDS: Mapping[str, SourceKind] = {
    kind.prefix: kind
    for kind in (
        SourceKind(source_forms.PATH, locate=_as_path),
        SourceKind(ollama.PREFIX, locate=ollama.locate, check=ollama.check),
        SourceKind(hub.PREFIX, fetch=hub.fetch, parts=hub.parts),
        SourceKind("https:", fetch=web.fetch, parts=web.parts),
        SourceKind("http:", fetch=web.fetch, parts=web.parts),
        SourceKind(pypi.PREFIX, fetch=pypi.fetch_order),
    )
}


def kind_of(source: str) -> SourceKind:
    """The kind of a source; what has no prefix is a path."""
    return KINDS[source_forms.prefix_of(source)]
