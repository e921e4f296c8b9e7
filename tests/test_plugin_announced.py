"""Workers tell their controller which tests are ours, before any of them begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llmbench.announced import announce, announced, forget, forget_left
from pytest_llmbench.testitems import stable_key


def test_what_one_worker_announces_holds_for_all_and_leaves_nothing(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Keys come with node ids; another worker's same tests are not written again; other tests are added."""
    place = tmp_path / "llmbench-0-1-secret"
    items = pytester.getitems("import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n): pass")
    announce(place, items)
    announce(place, items)
    [written] = tmp_path.iterdir()
    assert written.stat().st_mode & 0o777 == 0o600
    announce(place, items[:1])

    assert announced(place) == {
        item.nodeid: {"nodeid": item.nodeid, "key": stable_key(item), "outcome": ""} for item in items
    }

    forget(place)
    assert list(tmp_path.iterdir()) == []
    assert announced(place) == {}


def test_a_worker_that_cannot_write_leaves_no_half_file(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """The controller then knows of none of its tests; whoever meets there is told of the trouble."""
    items = pytester.getitems("def test_it(): pass")
    with pytest.raises(OSError, match="No such file"):
        announce(tmp_path / "gone" / "llmbench-0-1-secret", items)
    assert list(tmp_path.iterdir()) == []


def test_what_the_workers_of_a_killed_controller_wrote_is_removed_by_the_next_run(tmp_path: Path) -> None:
    """What those of a living one wrote stays, and so does what is named otherwise."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    own, living, dead = (tmp_path / f"llmbench-0-{pid}-abc" for pid in (os.getpid(), os.getppid(), ended.pid))
    files = {path: path.with_name(f"{path.name}.0123.tests") for path in (own, living, dead)}
    other = tmp_path / f"llmbench-1-{ended.pid}-abc.0123.tests"
    for file in (*files.values(), other):
        file.write_text("{}")
    forget_left(own, os.getpid())
    assert sorted(tmp_path.iterdir()) == sorted([files[living], other])
