"""The door to the results database: creating and migrating it, and short transactions on it.

Every write takes the lock at its beginning (BEGIN IMMEDIATE). A deferred transaction that reads before it writes fails
at once under several writers, whatever the busy timeout: 2100 of 2400 writes in our experiment, against none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, column, create_engine, event, inspect, select, table

from pytest_llmbench.store.failures import MOVE_AWAY, explained, store_error
from pytest_llmbench.store.sqlite_file import check_file, connect, create_blank, enter_wal, remove_companions

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
            self._engine = _engine(path)
            try:
                _bring_up_to_date(self._engine, path)
                _ensure_wal(path)
            except BaseException:
                self._engine.dispose()
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot of the database: what others commit meanwhile is not seen."""
        with explained(self.path), self._engine.execution_options(**{_BEGIN: "BEGIN"}).begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; committed when the block ends, rolled back when it raises."""
        with explained(self.path), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file. The last process to do so folds the write-ahead log back into it."""
        with explained(self.path):
            self._engine.dispose()


def _engine(path: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    return engine


def _create(path: Path) -> None:
    # Built under another name and moved when complete: whoever is killed here leaves no half database behind, and an
    # empty file under the final name is never one of ours.
    from filelock import FileLock  # noqa: PLC0415 - only the first run on a folder needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if path.exists():
            return
        unfinished = path.with_name(path.name + ".new")
        remove_companions(unfinished)
        create_blank(unfinished)
        _upgrade(unfinished)
        _ensure_wal(unfinished)
        remove_companions(path)
        unfinished.replace(path)


def _bring_up_to_date(engine: Engine, path: Path) -> None:
    version = _stored_version(engine, path)
    if version == FORMAT_VERSION:
        return
    if version > FORMAT_VERSION:
        raise store_error(
            path,
            f"it has format {version}, this version of pytest-llmbench reads formats up to {FORMAT_VERSION}",
            "upgrade pytest-llmbench, or choose another folder with --llmbench-results-dir; nothing was changed.",
        )
    _upgrade(path)


def _stored_version(engine: Engine, path: Path) -> str:
    with engine.execution_options(**{_BEGIN: "BEGIN"}).begin() as connection:
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
    engine = _engine(path)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _ensure_wal(path: Path) -> None:
    with closing(connect(path)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            enter_wal(connection, path)
