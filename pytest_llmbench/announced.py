"""Which tests of ours xdist's workers are going to run: each worker writes it down before its first test begins.

If a worker dies, xdist names a test to the controller, and only a worker knows which tests are ours and what they are
about. All workers collect the same tests, so the first one to write has written for all. The files lie beside the
folder in which the run's processes meet, not in it, and only until the tests begin: whoever cleans up that folder need
not know of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_llmbench.records import Record
from pytest_llmbench.testitems import context_of


def announce(meeting_place: Path, items: Sequence[pytest.Item]) -> None:
    """Write down these tests of ours, where nobody has.

    Args:
        meeting_place: the run's; nobody can guess its name.
        items: the tests.

    Raises:
        OSError: no file can be made there.
    """
    ids = "\n".join(item.nodeid for item in items).encode("utf-8", "surrogatepass")
    path = meeting_place.with_name(f"{meeting_place.name}.{hashlib.sha256(ids).hexdigest()[:16]}.tests")
    if path.exists():
        return
    half = path.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(json.dumps({item.nodeid: context_of(item).begun() for item in items}, default=_slim))
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def announced(meeting_place: Path) -> dict[str, dict[str, Any]]:
    """Node id → what is known before it runs, for `TestResult.from_dict`, of all tests that were announced."""
    tests: dict[str, dict[str, Any]] = {}
    for path in _files(meeting_place):
        tests |= json.loads(path.read_text())
    return tests


def forget(meeting_place: Path) -> None:
    """Remove what workers wrote: it was read."""
    for path in _files(meeting_place):
        path.unlink(missing_ok=True)


def forget_left(meeting_place: Path, controller_pid: int) -> None:
    """Remove what the workers wrote, and those of controllers that were killed before they had read it.

    Args:
        meeting_place: the run's, whose name has the controller's process id in it.
        controller_pid: that id.
    """
    forget(meeting_place)
    before, mark, _ = meeting_place.name.rpartition(f"-{controller_pid}-")
    for path in meeting_place.parent.glob(f"{before}-*.tests") if mark else ():
        pid = path.name.removeprefix(f"{before}-").partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)


def _files(meeting_place: Path) -> Iterator[Path]:
    return meeting_place.parent.glob(f"{meeting_place.name}.*.tests")


def _slim(record: Record) -> Mapping[str, Any]:
    """Without what is as it is by default: of thousands of tests that is most."""
    names, values, defaults = _fields(type(record))  # type: ignore[arg-type]
    told = zip(names, values(record), defaults, strict=True)
    return {name: value for name, value, default in told if value is not default and value != default}


@cache
def _fields(record: type[Any]) -> tuple[tuple[str, ...], Callable[[Record], tuple[Any, ...]], tuple[Any, ...]]:
    fields, none = dataclasses.fields(record), dataclasses.MISSING
    names = tuple(field.name for field in fields)
    defaults = tuple(f.default if f.default_factory is none else f.default_factory() for f in fields)
    return names, attrgetter(*names), defaults
