"""Folders on which write-ahead logging is not safe: a warning, the rollback journal, and still correct."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import store_samples as samples

from pytest_llmbench.store import Store, sqlite_file
from pytest_llmbench.store.check import check


class Mount(NamedTuple):
    """As psutil tells it."""

    mountpoint: str
    fstype: str


# As on NFS: the file system table says so, and that is all that can be known beforehand.
WRITER = """
import sys, warnings
from collections import namedtuple
from pathlib import Path
import psutil
sys.path.insert(0, sys.argv[3])
import store_samples as samples
from pytest_llmbench.store import Store
Mount = namedtuple("Mount", "mountpoint fstype")
psutil.disk_partitions = lambda all: [Mount("/", "nfs4")]
warnings.simplefilter("ignore")
with Store.open(Path(sys.argv[1])) as store:
    store.ensure_run(samples.run())
    for n in range(25):
        store.save_reply("run-1", sys.argv[2], n, {}, samples.reply())
        store.save_result("run-1", samples.result(f"{sys.argv[2]}-{n}"))
"""


def _mounted(monkeypatch: pytest.MonkeyPatch, *mounts: tuple[str, str]) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [Mount(*mount) for mount in mounts])


def _journal_mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as plain:
        return str(plain.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs"])
def test_on_a_network_folder_the_rollback_journal_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """SQLite may accept WAL there, where no memory is shared between machines: the mount decides, not its answer."""
    path = tmp_path / "results.db"
    _mounted(monkeypatch, ("/", "ext4"), (str(tmp_path), kind))

    with pytest.warns(RuntimeWarning, match=rf"network folder \({kind}\).*--llmbench-results-dir"):
        store = Store.open(path)
    with store:
        store.ensure_run(samples.run())
        with store._database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL: see sqlite_file.connect"
    assert _journal_mode(path) == "delete"
    assert check(path).network == kind
    assert [file.name for file in tmp_path.iterdir()] == ["results.db"]


def test_a_database_that_moved_to_a_network_folder_leaves_wal_and_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode is kept in the file: made on a local disk and copied to a share, it changes on opening, and back."""
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
    assert _journal_mode(path) == "wal"

    with monkeypatch.context() as patch:
        _mounted(patch, ("/", "nfs4"))
        with pytest.warns(RuntimeWarning, match="nfs4"), Store.open(path) as store:
            assert store.runs() == [samples.run()]
    assert _journal_mode(path) == "delete"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Store.open(path).close()
    assert _journal_mode(path) == "wal"


def test_the_nearest_mount_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local disk mounted into a network folder is local, the last of two mounts at one place counts, and a system
    without a mount table is taken for local."""
    inner = tmp_path / "inner"
    inner.mkdir()
    _mounted(monkeypatch, ("/", "nfs4"), (str(inner), "cifs"), (str(inner), "ext4"))
    assert (sqlite_file.network_kind(inner), sqlite_file.network_kind(tmp_path)) == ("", "nfs4")
    _mounted(monkeypatch)
    assert sqlite_file.network_kind(inner) == ""

    def _unreadable(**_: bool) -> list[Mount]:
        raise FileNotFoundError("/proc/filesystems")

    monkeypatch.setattr(psutil, "disk_partitions", _unreadable)
    assert sqlite_file.network_kind(inner) == ""


def test_four_writers_on_the_rollback_journal_lose_nothing(tmp_path: Path) -> None:
    """Slower than WAL, and as correct: every write of each is kept, without an error."""
    path = tmp_path / "results.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, f"w{n}", str(Path(__file__).parent)], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        assert (writer.communicate(timeout=120)[1], writer.returncode) == ("", 0)

    assert _journal_mode(path) == "delete"
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*), count(DISTINCT key) FROM results").fetchone() == (100, 100)
        assert plain.execute("SELECT count(*) FROM replies").fetchone() == (100,)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
