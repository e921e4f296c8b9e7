"""Use-case folders that tests write: a page, data, expected answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_llmbench import usecases
from pytest_llmbench.errors import UsageError

ROW = '{"id": "t1", "input": "My card was charged twice", "expected": "billing"}\n'


def folder(where: Path, front: str = "", data: Mapping[str, str | bytes] | None = None, prose: str = "# T\n") -> Path:
    """A use case with this front matter; `data` are files by their path in it."""
    files: dict[str, str | bytes] = {"data/a.jsonl": ROW} if data is None else dict(data)
    files = {"USE-CASE.md": f"---\n{front}\n---\n{prose}", **files}
    return written(where, files)


def written(where: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return where


def refusal(where: Path) -> str:
    """What is said of a use case that cannot be read, before anything is asked."""
    with pytest.raises(UsageError) as error:
        list(usecases.load(where).samples())
    return str(error.value)


def problems(where: Path) -> list[str]:
    """What the lint says of a use case, its folder left out."""
    return [str(problem).replace(f"{where}/", "") for problem in usecases.lint(usecases.load(where))]
