"""The door to the results database: creating and migrating it, and short transactions on it.

Every write takes the lock at its beginning (BEGIN IMMEDIATE). A deferred transaction that reads before it writes fails
at once under several writers, whatever the busy timeout: 2100 of 2400 writes in our experiment, against none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, column, create_engine, event, inspect, select, table

from pytest_llmbench.store.failures import MOVE_AWAY, explained, store_error
from pytest_llmbench.store.sqlite_file import (
    BUSY_TIMEOUT_S,
    check_file,
    connect,
    create_blank,
    enter_wal,
    remove_companions,
)

# History of the format; a new one is a new file in migrations/versions/ and a line here.
# 0001  runs, results, replies, measurements, repetitions, gates
FORMAT_VERSION = "0001"

_BEGIN = "llmbench_begin"
_VERSION = table("alembic_version", column("version_num"))


class Database:
    """An open, up-to-date results database; usable from several threads, beside other processes.

    Args:
        path: the file; created, with its folder, where there is none.

    Raises:
        StoreError: it cannot be created, read or written, is damaged, not ours, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            if not path.exists():
                _create(path)
            check_file(path)
            self._writer = _engine(path)
            self._reader = self._writer.execution_options(**{_BEGIN: "BEGIN"})
            try:
                _bring_up_to_date(self._reader, path)
                _prefer_wal(path)
            except BaseException:
                self._writer.dispose()
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot of the database: what others commit meanwhile is not seen."""
        with explained(self.path), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; committed when the block ends, rolled back when it raises."""
        with explained(self.path), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file. The last process to do so folds the write-ahead log back into it."""
        with explained(self.path):
            self._writer.dispose()


def _engine(path: Path, *, foreign_keys: bool = True) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connect(path, foreign_keys=foreign_keys), poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    return engine


def _create(path: Path) -> None:
    from filelock import FileLock  # noqa: PLC0415 - only the first run on a folder needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    # Not `.lock`: that is SQLite's own name where a folder knows only dot-file locks.
    turn = path.with_name(path.name + ".creating")
    with FileLock(turn, timeout=BUSY_TIMEOUT_S):
        if not path.exists():
            _build(path)
        # Safe to delete while others wait for it: whoever gets in from here on finds the database and leaves.
        turn.unlink(missing_ok=True)


def _build(path: Path) -> None:
    # Under another name until complete: whoever is killed here leaves no half database behind, and an empty file
    # under the final name is never one of ours.
    unfinished = path.with_name(path.name + ".new")
    remove_companions(unfinished)
    create_blank(unfinished)
    _upgrade(unfinished)
    enter_wal(unfinished)
    remove_companions(path)
    unfinished.replace(path)


def _bring_up_to_date(reader: Engine, path: Path) -> None:
    version = _stored_version(reader, path)
    if version == FORMAT_VERSION:
        return
    if version > FORMAT_VERSION:
        raise store_error(
            path,
            f"it has format {version}, this version of pytest-llmbench reads formats up to {FORMAT_VERSION}",
            "upgrade pytest-llmbench, or choose another folder with --llmbench-results-dir; nothing was changed.",
        )
    _upgrade(path)


def _stored_version(reader: Engine, path: Path) -> str:
    with reader.begin() as connection:
        ours = inspect(connection).has_table(_VERSION.name)
        version = connection.scalar(select(_VERSION.c.version_num)) or "" if ours else None
    if version is None or (version and not version.isdigit()):
        raise store_error(path, "it is an SQLite database, but not one of pytest-llmbench", MOVE_AWAY)
    return version


def _upgrade(path: Path) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and only a new or an older database needs it
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    scripts = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    # Rebuilding a table drops the old one, which would take the rows that refer to it along.
    engine = _engine(path, foreign_keys=False)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _prefer_wal(path: Path) -> None:
    mode = enter_wal(path)
    if mode != "wal":
        warnings.warn(
            f"results database {path}: write-ahead logging is refused, as on network folders; falling back to the "
            f"rollback journal ({mode}). When several processes write, keep it on a local disk: "
            "--llmbench-results-dir.",
            RuntimeWarning,
            stacklevel=4,
        )
