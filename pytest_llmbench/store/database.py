"""The door to the results database: creating and migrating it, and short transactions on it.

Every write takes the lock at its beginning (BEGIN IMMEDIATE). A deferred transaction that reads before it writes fails
at once under several writers, whatever the busy timeout: 2100 of 2400 writes in our experiment, against none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    QueuePool,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)

from pytest_llmbench.redaction import redact_values
from pytest_llmbench.store.failures import MOVE_AWAY, explained, store_error
from pytest_llmbench.store.sqlite_file import (
    APPLICATION_ID,
    BUSY_TIMEOUT_S,
    check_file,
    choose_journal,
    connect,
    create_blank,
    give_back_space,
    remove_companions,
)
from pytest_llmbench.store.tables import metadata, runs

# History of the format; a new one is a new file in migrations/versions/ and a line here.
# 0001  runs, results, replies, measurements, repetitions, gates
# 0002  failed_attempts; the application id in the file's header
# 0003  labels and marks of repetitions, tables of measurements, monitor_samples
# 0004  what asking APIs needs; 0005  evaluations of results
# 0006  evidence of gates; gates and rules of results; 0007  summaries; 0008  cells of a matrix; 0009  lane states
FORMAT_VERSION = "0009"

_BEGIN = "llmbench_begin"
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own, as Alembic makes it."""


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
            self._writer = engine_of(path)
            self._reader = reader_of(self._writer)
            try:
                _bring_up_to_date(self._reader, path)
                self._writer.dispose()  # the journal mode changes only while nobody has the file open
                _prefer_wal(path)
                self._writer.connect().close()  # into the pool: whoever looks sees that the database is in use
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

    def give_back_space(self) -> None:
        """Shorten the file after much was deleted; others may write meanwhile."""
        with explained(self.path):
            give_back_space(self.path)

    def close(self) -> None:
        """Let go of the file. The last process to do so folds the write-ahead log back into it."""
        with explained(self.path):
            self._writer.dispose()


def reader_of(writer: Engine) -> Engine:
    """The same for transactions that only read: they wait for nobody."""
    return writer.execution_options(**{_BEGIN: "BEGIN"})


def engine_of(path: Path, *, foreign_keys: bool = True) -> Engine:
    """What connects to the file, begins every transaction with the write lock, and binds no key to a statement."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect(path, foreign_keys=foreign_keys),
        poolclass=QueuePool,
        hide_parameters=True,  # prompts and replies have no place in the message of an error
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _keep_no_key(*told: Any) -> tuple[str, Any]:
        _connection, _cursor, statement, parameters, *_ = told
        return statement, redact_values(parameters)

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
    with built(path):
        pass


@contextmanager
def built(path: Path) -> Iterator[Path]:
    """A new database for `path`: yields the file under which it is made, with its tables, for the caller to fill.

    It gets its final name at the end: whoever is killed before leaves no half database behind, and an empty file under
    the final name is never one of ours.
    """
    unfinished = path.with_name(path.name + ".new")
    remove_companions(unfinished)
    create_blank(unfinished)
    _make_tables(unfinished)
    yield unfinished
    choose_journal(unfinished)
    remove_companions(path)
    unfinished.replace(path)


def _make_tables(path: Path) -> None:
    """All tables as the newest migration leaves them: running the migrations takes ten times as long."""
    engine = engine_of(path)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
            _VERSION.create(connection)
            connection.execute(insert(_VERSION).values(version_num=FORMAT_VERSION))
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    finally:
        engine.dispose()


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
        version = format_version(connection)
    if version is None:
        raise store_error(path, "it is an SQLite database, but not one of pytest-llmbench", MOVE_AWAY)
    return version


def format_version(connection: Connection) -> str | None:
    """The format of an open database; empty before its first migration, None where it is another program's."""
    application = connection.exec_driver_sql("PRAGMA application_id").scalar()
    tables = inspect(connection).get_table_names()
    if application not in {0, APPLICATION_ID} or _VERSION.name not in tables:
        return None
    version = connection.scalar(select(_VERSION.c.version_num)) or ""
    # Other programs use Alembic too, and number their revisions; before format 0002 only our tables tell.
    return version if not version or (version.isdigit() and runs.name in tables) else None


def _upgrade(path: Path) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and only a new or an older database needs it
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    scripts = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    # Rebuilding a table drops the old one, which would take the rows that refer to it along.
    engine = engine_of(path, foreign_keys=False)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _prefer_wal(path: Path) -> None:
    if reason := choose_journal(path):
        warnings.warn(
            f"results database {path}: no write-ahead logging, because {reason}; falling back to the rollback journal. "
            "When several processes write, keep it on a local disk: --llmbench-results-dir.",
            RuntimeWarning,
            stacklevel=4,
        )
