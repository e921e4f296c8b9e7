"""The response cache's file: made whole, used only where nobody else can have written it, explained where it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Column, Engine, Index, Integer, LargeBinary, MetaData, Table, Text, event
from sqlalchemy.exc import StatementError

from pytest_llmbench.errors import CacheError, SpoiltCacheError, StoreError
from pytest_llmbench.store import failures
from pytest_llmbench.store.database import engine_of
from pytest_llmbench.store.sqlite_file import (
    check_not_blank,
    choose_journal,
    companions,
    create_blank,
    remove_companions,
)

APPLICATION_ID = 0x4C4C4D43
"""`LLMC` in the file's header."""
FORMAT_VERSION = 1

_BUSY_TIMEOUT_MS = 2000
"""Who asks waits no longer than that for a cache that another process writes to."""
_MADE_WITHIN_S = 10.0
_ANEW = "`llmbench cache clear` makes room for a new one"
_NEWER = f"update pytest-llmbench, or choose another folder with --llmbench-results-dir; {_ANEW}"
_FOREIGN = "have its owner remove it, or choose another folder with --llmbench-results-dir."
_LINKED_FOLDER = "put a folder in its place, or choose another one with --llmbench-results-dir."
_IN_THE_WAY = "move it away, or choose another folder with --llmbench-results-dir."
_IS_A_LINK = "it is a symbolic link, and may lead anywhere"

metadata = MetaData()
entries = Table(
    "entries",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("model", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("put_at", Text, nullable=False),
    Column("used_at", Text, nullable=False),
    Index("ix_entries_used_at", "used_at", "size_bytes"),
    Index("ix_entries_put_at", "put_at"),
)
counters = Table("counters", metadata, Column("name", Text, primary_key=True), Column("count", Integer, nullable=False))


def opened(path: Path) -> Engine:
    """The file, made with a folder of its own where there is none.

    Raises:
        CacheError: see `CacheFile`.
    """
    with explained(path):
        _make(path)
        _check_usable(path)
        engine = engine_of(path)
        event.listen(engine, "connect", _be_impatient)
        try:
            _check_format(engine, path)
        except BaseException:
            engine.dispose()
            raise
        return engine


def is_there(path: Path) -> bool:
    """Whether there is a file, usable or not; looking makes none.

    Raises:
        CacheError: others could put one there, or its folder cannot be looked into.
    """
    if not os.path.lexists(path.parent):
        return False
    with explained(path):
        _check_no_link(path.parent)
        _check_owner(path.parent)
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def discard(path: Path) -> None:
    """Delete a cache that cannot be used any more, with its journals; its folder is ours alone from then on.

    Of a link only the link goes.

    Raises:
        CacheError: it or its folder is another user's, or it cannot be deleted.
    """
    with explained(path):
        _check_no_link(path.parent)
        _check_mine(path.parent)
        if os.name == "posix":
            path.parent.chmod(0o700)
        if os.path.lexists(path):
            _check_mine(path)
        for file in (path, *companions(path)):
            file.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn failures of the file into `CacheError`; mistakes in our own SQL rise as they are."""
    try:
        yield
    except (sqlite3.Error, StatementError) as error:
        cause = error.orig if isinstance(error, StatementError) else error
        known = failures.reason(cause) if isinstance(cause, sqlite3.Error) else None
        if known is None:
            raise
        what = f"{known[0]} ({cause})"
        if known[1] == failures.RECOVER:
            raise _spoilt(path, what) from error
        raise _error(path, what, known[1].replace("FILE", str(path))) from error
    except StoreError as error:
        raise _spoilt(path, error.message.partition(f"{path}: ")[2] or error.message) from error
    except UnicodeDecodeError as error:  # of SQLite's own message, which quotes from the file
        raise _spoilt(path, "it is damaged") from error
    except (OSError, Timeout) as error:
        raise _error(path, f"it cannot be used ({error})", failures.ELSEWHERE) from error


def _be_impatient(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _make(path: Path) -> None:
    """A new file in a folder of its own, which nobody else may enter; it gets its name when it is whole."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    _check_no_link(path.parent)
    _check_owner(path.parent)
    if os.path.lexists(path):
        return
    turn = path.with_name(path.name + ".creating")
    with FileLock(turn, timeout=_MADE_WITHIN_S):
        if not os.path.lexists(path):
            _build(path)
        turn.unlink(missing_ok=True)


def _build(path: Path) -> None:
    unfinished = path.with_name(path.name + ".new")
    remove_companions(unfinished)
    create_blank(unfinished)
    engine = engine_of(unfinished)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT_VERSION}")
    finally:
        engine.dispose()
    choose_journal(unfinished)
    remove_companions(path)
    unfinished.replace(path)


def _check_usable(path: Path) -> None:
    """See that nobody else can have written what lies there, and that we may."""
    if path.is_symlink():
        raise _spoilt(path, _IS_A_LINK)
    if path.is_dir():
        raise _error(path, "it is a folder", _IN_THE_WAY)
    _check_owner(path)
    check_not_blank(path)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        if _is_on_read_only_disk(path):
            raise _error(path, "its file system is read-only", failures.ELSEWHERE)
        raise _spoilt(path, "the file or its folder is read-only")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)  # others may only read it: it was copied, perhaps


def _is_on_read_only_disk(path: Path) -> bool:
    return os.name == "posix" and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _check_owner(path: Path) -> None:
    _check_mine(path)
    mode = path.lstat().st_mode
    if os.name == "posix" and mode & 0o022:
        raise _spoilt(path, f"others may write to it (mode {stat.S_IMODE(mode):04o})")


def _check_mine(path: Path) -> None:
    if os.name == "posix" and (owner := path.lstat().st_uid) != os.geteuid():
        what = f"it belongs to another user (uid {owner}), who may put into it what they like"
        raise _error(path, what, _FOREIGN)


def _check_no_link(folder: Path) -> None:
    if folder.is_symlink():
        raise _error(folder, _IS_A_LINK, _LINKED_FOLDER)


def _check_format(engine: Engine, path: Path) -> None:
    with engine.begin() as connection:  # takes the write lock: a file that cannot be written says so here
        application = connection.exec_driver_sql("PRAGMA application_id").scalar()
        version = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
    if application != APPLICATION_ID:
        raise _spoilt(path, "it is an SQLite database, but no response cache")
    if version != FORMAT_VERSION:
        what = f"it has format {version}, and this version of pytest-llmbench uses {FORMAT_VERSION}"
        raise _spoilt(path, what, _NEWER if version > FORMAT_VERSION else _ANEW)


def _error(path: Path, what: str, hint: str, kind: type[CacheError] = CacheError) -> CacheError:
    return kind(f"the response cache {path} is not used: {what}", hint=hint)


def _spoilt(path: Path, what: str, hint: str = _ANEW) -> CacheError:
    return _error(path, what, hint, SpoiltCacheError)
