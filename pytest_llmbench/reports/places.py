"""Where in a repository something of a run stands: file and line of a sample, of a test function, of a gate."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pytest_llmbench import usecases
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import GateResult, Run, TestResult


@dataclass(frozen=True, slots=True)
class Spot:
    """A file, from the repository's root, and a line from 1 where one is known."""

    file: str
    line: int | None = None


@dataclass(frozen=True)
class Places:
    """Finds spots.

    Args:
        rootdir: pytest's root, from which node ids and pages count.
        repository: what the spots' files count from; what lies outside of it has none.
        config: the project's llmbench.yaml, where there is one.
    """

    rootdir: Path
    repository: Path
    config: Path | None = None

    def of_result(self, result: TestResult) -> Spot | None:
        """A sample's place in its data, else the page; of a test its function."""
        found = result.evaluation
        if found is not None and found.page:
            page = self.rootdir / found.page
            file, line = _samples(page).get(found.sample, (page, None))
            return self._spot(file, line)
        name, *inner = result.nodeid.partition("[")[0].split("::")
        file = self.rootdir / name
        return self._spot(file, _line_of_function(file, tuple(inner)))

    def of_gate(self, gate: GateResult, run: Run) -> Spot | None:
        """The gates of the use case's page, else those of llmbench.yaml."""
        cases = (each.evaluation for each in run.results if each.evaluation is not None)
        page = next((each.page for each in cases if each.use_case == gate.profile and each.page), "")
        file = self.rootdir / page if page else self.config
        if page and _line_of_gates(self.rootdir / page) is None:
            file = self.config or file
        return None if file is None else self._spot(file, _line_of_gates(file))

    @cached_property
    def _root(self) -> Path:
        return self.repository.resolve()

    def _spot(self, file: Path, line: int | None) -> Spot | None:
        whole = file.resolve()
        if not (whole.is_file() and whole.is_relative_to(self._root)):
            return None
        return Spot(whole.relative_to(self._root).as_posix(), line)


@lru_cache(maxsize=64)
def _samples(page: Path) -> Mapping[str, tuple[Path, int | None]]:
    """Sample → file and line; empty where the use case cannot be read here."""
    try:
        placed = list(usecases.load(page).placed())
    except (UsageError, OSError):
        return {}
    return {one.sample.id: (one.place.file, one.place.line if one.place.unit == "line" else None) for one in placed}


@lru_cache(maxsize=64)
def _line_of_function(file: Path, names: tuple[str, ...]) -> int | None:
    try:
        node: ast.AST = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    line = None
    for name in names:
        inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, kinds) and each.name == name]
        if not inner:
            return line
        node, line = inner[-1], inner[-1].lineno
    return line


def _line_of_gates(file: Path) -> int | None:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((number for number, line in enumerate(lines, 1) if line.startswith(("gates:", "thresholds:"))), None)
