"""Files and folders that cannot serve as a results database: refused in words, and left as they are."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench.errors import Category, StoreError
from pytest_llmbench.store import Store, sqlite_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good database with some pages of content."""
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        for n in range(20):
            store.save_reply("run-1", "t1", n, {}, samples.reply("word " * 500))
    return path


def _refusal(path: Path) -> StoreError:
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert caught.value.category is Category.STORE
    assert str(path) in caught.value.message
    assert caught.value.hint
    if before is not None:
        assert path.read_bytes() == before
    return caught.value


@pytest.mark.parametrize("content", [b"this is a text file, " * 100, b"\x00" * 8192, b"SQLite format 3\x00"])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    """Somebody else's file is never overwritten."""
    path.write_bytes(content)

    error = _refusal(path)
    assert "not an SQLite database" in error.message
    assert f"`llmbench db recover {path}`" in error.hint


def test_a_foreign_sqlite_database_is_refused(tmp_path: Path) -> None:
    """An SQLite file of another program gets no tables of ours."""
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE places (id)")

    assert "not one of pytest-llmbench" in _refusal(path).message


def test_another_programs_alembic_database_is_refused(tmp_path: Path) -> None:
    """Alembic's version table alone does not make a database ours."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        foreign.execute("INSERT INTO alembic_version VALUES ('ae1027a6acf4')")

    assert "not one of pytest-llmbench" in _refusal(path).message


@pytest.mark.parametrize("application_id", [0, 0x0F055112])
def test_another_program_that_numbers_its_revisions_like_us_is_told_apart(tmp_path: Path, application_id: int) -> None:
    """Revision 0001 is no proof: our tables, and from format 0002 on the id in the file's header, are."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute(f"PRAGMA application_id={application_id}")
        foreign.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        foreign.execute("INSERT INTO alembic_version VALUES ('0001')")
        foreign.execute("CREATE TABLE runs (id)" if application_id else "CREATE TABLE invoices (id)")

    assert "not one of pytest-llmbench" in _refusal(path).message


def test_an_empty_file_is_refused(path: Path) -> None:
    """We never leave an empty file, so one was cut off: it is not silently begun anew."""
    path.write_bytes(b"")

    assert "empty (0 bytes)" in _refusal(path).message


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_lost_its_end_is_refused(path: Path, kept: float) -> None:
    """A truncated copy is found when it is opened, not when a report is half written."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    assert "damaged" in _refusal(path).message


def test_damage_inside_is_named_when_it_is_met(path: Path) -> None:
    """Flipped bytes on a page raise a StoreError on reading, with what to do about them."""
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))

    with pytest.raises(StoreError, match=r"damaged(.|\n)*llmbench db recover"), Store.open(path) as store:
        store.load_run("last")


def test_a_newer_format_is_refused(path: Path) -> None:
    """What a later version wrote is not touched by this one."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '0999'")

    error = _refusal(path)
    assert "format 0999" in error.message
    assert "upgrade pytest-llmbench" in error.hint


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """A path that names a folder says so."""
    assert "it is a folder" in _refusal(tmp_path).message


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """The results folder cannot be made where a file has its name."""
    (tmp_path / ".llmbench").write_text("a file")

    assert "cannot be used" in _refusal(tmp_path / ".llmbench" / "results.db").message


def test_a_file_deleted_meanwhile_is_not_made_anew(path: Path) -> None:
    """Opening never creates except through the one place that builds a complete database."""
    path.unlink()

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        sqlite_file.connect(path)
    assert not path.exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user can reach; tmp_path is closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# Gives up root, for which nothing is read-only, once everything is imported.
VISITOR = """
import os, sys
from pathlib import Path
from pytest_llmbench.errors import StoreError
from pytest_llmbench.store import Store, database
import alembic.command, filelock, sqlalchemy.dialects.sqlite
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Store.open(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.parametrize("exists", [True, False])
def test_a_read_only_folder_is_refused(open_folder: Path, exists: bool) -> None:
    """Whether a database is to be made or lies there: the error says read-only and names the way out."""
    path = open_folder / "results.db"
    if exists:
        with Store.open(path) as store:
            store.ensure_run(samples.run())
        path.chmod(0o644)
    open_folder.chmod(0o555)
    visit = subprocess.run(
        [sys.executable, "-c", VISITOR, str(path)], capture_output=True, text=True, timeout=120, check=False
    )

    assert visit.stderr == ""
    assert f"results database {path}: " in visit.stdout
    assert "read-only" in visit.stdout if exists else "denied" in visit.stdout
    assert "--llmbench-results-dir" in visit.stdout
    assert path.exists() == exists


def test_a_full_disk_is_its_own_category(path: Path) -> None:
    """SQLite's page limit stands in for a full disk: same result code, nothing half written, the database goes on."""
    with Store.open(path) as store:
        with store._database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1")
        with pytest.raises(StoreError, match="disk is full") as caught:
            store.save_reply("run-1", "big", 0, {}, samples.reply("x" * 1_000_000))
        assert caught.value.category is Category.LOCAL_DISK_FULL
        assert len(store.load_run("last").replies) == 20


def test_where_wal_is_refused_it_warns_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's dot-file locking knows no shared memory, as a network folder: one warning, then the rollback journal."""
    plain = sqlite_file.address
    monkeypatch.setattr(sqlite_file, "address", lambda path, **mode: plain(path, **mode) + "&vfs=unix-dotfile")
    path = tmp_path / "results.db"

    with pytest.warns(RuntimeWarning, match="no write-ahead logging, because its folder refuses it") as caught:
        store = Store.open(path)
    with store:
        store.ensure_run(samples.run())
        assert store.load_run("last").id == "run-1"
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not path.with_name("results.db-wal").exists()


def test_odd_file_names_are_file_names(tmp_path: Path) -> None:
    """Characters that mean something in an URI or in Alembic's configuration are escaped."""
    path = tmp_path / "100% a?b#c&mode=ro" / "résults.db"

    with Store.open(path) as store:
        store.ensure_run(samples.run())
    assert path.is_file()
