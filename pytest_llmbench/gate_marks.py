"""`@pytest.mark.gate("pass_rate >= 0.8", ttft_s="10%")`: the gates that tests, classes and modules are marked with."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmbench.config import Gate

MARK = "gate"
_READ: pytest.StashKey[dict[int, tuple[pytest.Mark, tuple[Gate, ...]]]] = pytest.StashKey()
"""By the id of the mark, which is kept with it, so that no other gets its id."""


def gates_of(item: pytest.Item) -> tuple[Gate, ...]:
    """The gates that a test is marked with; the same one counts once.

    Raises:
        ValueError: a mark is no gate; `check` tells where it stands.
    """
    found = [gate for mark in item.iter_markers(MARK) for gate in _of(item, mark)]
    return tuple(each for place, each in enumerate(found) if each not in found[:place])


def check(items: Iterable[pytest.Item]) -> None:
    """Refuse marks that are no gates.

    Raises:
        pytest.UsageError: one is none; with file, line and what is allowed.
    """
    problems: dict[str, None] = {}
    for item in items:
        for mark in item.iter_markers(MARK):
            try:
                _of(item, mark)
            except ValueError as error:
                problems[f"{_place(item, mark)}: @pytest.mark.gate: {error}"] = None
    if problems:
        raise pytest.UsageError("\n".join(problems))


def _of(item: pytest.Item, mark: pytest.Mark) -> tuple[Gate, ...]:
    known = item.config.stash.setdefault(_READ, {})
    if id(mark) not in known:
        from pytest_llmbench.config import gates_of_mark  # noqa: PLC0415 - only where a test is marked

        known[id(mark)] = mark, tuple(gates_of_mark(mark.args, mark.kwargs))
    return known[id(mark)][1]


def _place(item: pytest.Item, mark: pytest.Mark) -> str:
    """File and line of a mark; where its call is not found in the file, those of the test."""
    file, line, _ = item.location
    said = [*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())]
    try:
        source = ast.parse(item.path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # a file of our own, or one that a plugin made the test of
        return f"{file}:{(line or 0) + 1}"
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(f"mark.{MARK}"):
            told = [*map(ast.unparse, node.args), *(f"{each.arg}={ast.unparse(each.value)}" for each in node.keywords)]
            if told == said:
                return f"{file}:{node.lineno}"
    return f"{file}:{(line or 0) + 1}"
