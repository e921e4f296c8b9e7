"""The response cache's file is refused where it is not safe, or not ours; the way out is named."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cache_files import entries, key, opened

from pytest_llmbench.errors import CacheError
from pytest_llmbench.store.cache_making import discard

is_root = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".llmbench" / "cache" / "cache.db"


def refusal(path: Path) -> str:
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert caught.value.message.startswith(f"the response cache {path} is not used: ") or is_of_folder(
        caught.value, path
    )
    return caught.value.message


def is_of_folder(error: CacheError, path: Path) -> bool:
    return error.message.startswith(f"the response cache {path.parent} is not used: ")


def test_a_file_that_others_may_write_to_is_refused(path: Path) -> None:
    """They could put answers into it; so could who may write into its folder."""
    opened(path).close()
    path.chmod(0o666)
    assert "others may write to it (mode 0666)" in refusal(path)
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert "others may write to it (mode 0777)" in refusal(path)
    path.parent.chmod(0o700)
    opened(path).close()


@pytest.mark.skipif(not is_root, reason="giving a file away needs root")
def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    """As a file and as a folder."""
    opened(path).close()
    os.chown(path, 12345, -1)
    assert "it belongs to another user (uid 12345)" in refusal(path)
    with pytest.raises(CacheError, match="belongs to another user"):
        discard(path)
    os.chown(path, os.geteuid(), -1)
    os.chown(path.parent, 12345, -1)
    assert "it belongs to another user (uid 12345)" in refusal(path)


@pytest.mark.skipif(not is_root, reason="giving a folder away needs root")
def test_of_what_belongs_to_somebody_else_no_clearing_is_promised(path: Path) -> None:
    """The hint names who can help, and what else can be done."""
    opened(path).close()
    os.chown(path.parent, 12345, -1)
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert "have its owner remove it, or choose another folder" in caught.value.hint
    with pytest.raises(CacheError, match="belongs to another user"):
        discard(path)
    assert path.exists()


def test_a_folder_that_is_a_link_is_left_to_its_owner(path: Path, tmp_path: Path) -> None:
    """What it leads to may be anything: nothing there is deleted, nor given other rights."""
    opened(path).close()
    elsewhere = path.parent.rename(tmp_path / "elsewhere")
    elsewhere.chmod(0o750)
    path.parent.symlink_to(elsewhere)
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert "put a folder in its place" in caught.value.hint
    with pytest.raises(CacheError, match="symbolic link"):
        discard(path)
    assert (elsewhere / "cache.db").exists()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o750


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    """It could lead to a file of the user's that is no cache."""
    opened(path).close()
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert "symbolic link" in refusal(path)
    (tmp_path / "elsewhere.db").unlink()
    assert "symbolic link" in refusal(path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _nonsense(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def _other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("CREATE TABLE entries (key)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA user_version = 2")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "said", "way_out"),
    [
        (_empty, "it is empty", "llmbench cache clear"),
        (_nonsense, "it is not an SQLite database", "llmbench cache clear"),
        (_other_database, "no response cache", "llmbench cache clear"),
        (_newer, "it has format 2", "llmbench cache clear"),
        (_folder, "it is a folder", "move it away"),
    ],
)
def test_what_is_no_cache_of_ours_is_not_used_and_not_touched(
    path: Path, damage: Callable[[Path], None], said: str, way_out: str
) -> None:
    """The reason in one sentence; the way out is named."""
    opened(path).close()
    damage(path)
    path.chmod(0o700 if path.is_dir() else 0o600)
    before = None if path.is_dir() else path.read_bytes()
    assert said in refusal(path)
    assert before is None or path.read_bytes() == before
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert way_out in caught.value.hint


def test_a_page_that_is_damaged_is_an_error_of_the_cache_and_of_nothing_else(path: Path) -> None:
    """Reading and writing tell so; discarding it makes room for a new one."""
    with closing(opened(path)) as cache:
        cache.put(entries(*range(200), size=3000))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(CacheError, match="damaged"):
        opened(path).get([key(1)])
    discard(path)
    with closing(opened(path)) as cache:
        assert cache.stats().entries == 0


def test_no_place_for_a_cache_is_an_error_of_the_cache(tmp_path: Path) -> None:
    """Where its folder would be lies a file."""
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(CacheError, match="cannot be used"):
        opened(tmp_path / "cache" / "cache.db")
    assert (tmp_path / "cache").read_text() == "mine"


@pytest.mark.skipif(is_root, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_not_used(path: Path) -> None:
    """A file or a folder without the right to write."""
    opened(path).close()
    path.chmod(0o400)
    assert "read-only" in refusal(path)
    path.chmod(0o600)
    path.parent.chmod(0o500)
    assert "read-only" in refusal(path)
    path.parent.chmod(0o700)
