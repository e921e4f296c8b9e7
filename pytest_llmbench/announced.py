"""Which tests of ours xdist's workers are going to run: each worker writes it down before its first test begins.

If a worker dies, xdist names a test to the controller, and only a worker knows which tests are ours. All workers
collect the same tests, so the first one to write has written for all. The files lie beside the folder in which the
run's processes meet, not in it, and only until the tests begin: whoever cleans up that folder need not know of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_llmbench.testitems import stable_key


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
            json.dump({item.nodeid: stable_key(item) for item in items}, file)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def announced(meeting_place: Path) -> dict[str, str]:
    """Node id → stable key of all tests that were announced."""
    tests: dict[str, str] = {}
    for path in _files(meeting_place):
        tests |= json.loads(path.read_text())
    return tests


def forget(meeting_place: Path) -> None:
    """Remove what workers wrote: it was read."""
    for path in _files(meeting_place):
        path.unlink(missing_ok=True)


def _files(meeting_place: Path) -> Iterator[Path]:
    return meeting_place.parent.glob(f"{meeting_place.name}.*.tests")
