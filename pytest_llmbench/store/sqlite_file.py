"""One SQLite file: connecting to it, and finding out whether it is whole, writable and safe for several writers."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from pytest_llmbench.store.failures import ELSEWHERE, MOVE_AWAY, store_error

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for its turn."""

_WAL_REFUSED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR}


def address(path: Path) -> str:
    """The file as SQLite's URI. Mode `rw`: opening never creates, so a lost file is an error and not an empty one."""
    return f"{path.absolute().as_uri()}?mode=rw"


def connect(path: Path, *, foreign_keys: bool = True) -> sqlite3.Connection:
    """A connection that begins no transaction by itself and may be handed from thread to thread (the pool's work)."""
    connection = sqlite3.connect(
        address(path), uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        # In WAL mode NORMAL survives the death of any process; only a power cut may take the last commits.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    except BaseException:
        connection.close()
        raise
    return connection


def create_blank(path: Path) -> None:
    """An empty file for SQLite to fill, replacing what lies there; mode 0600, because prompts are inside."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def remove_companions(path: Path) -> None:
    """Delete the journals of a database that is gone: SQLite would play them into its successor."""
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """Refuse what is plainly no usable database, before any statement runs.

    Raises:
        StoreError: a folder, an empty file, one that cannot be written, or one that lost its end.
    """
    if path.is_dir():
        raise store_error(path, "it is a folder", "move it away, or choose another --llmbench-results-dir.")
    if path.stat().st_size == 0:
        raise store_error(path, "it is empty (0 bytes); something cut it off", MOVE_AWAY)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise store_error(path, "the file or its folder is read-only", ELSEWHERE)
    if _seems_truncated(path):
        _check_whole(path)


def enter_wal(path: Path) -> str:
    """Switch the file to write-ahead logging, which it keeps from then on.

    Returns:
        The journal mode now in force: `wal`, or what there is where WAL is refused, with the reason if one was told.
        A network folder refuses: WAL needs memory shared between its users.
    """
    with closing(connect(path)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            return "wal"
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _WAL_REFUSED:
                raise
            return f"{mode}: {error}"


def _seems_truncated(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(100)
    page_size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    # Size last: a writer that is just now extending the file can only make it larger than its header said.
    return path.stat().st_size < pages * (65536 if page_size == 1 else page_size)


def _check_whole(path: Path) -> None:
    # Only SQLite can tell a cut file from one whose missing pages still wait in the write-ahead log.
    with closing(connect(path)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise store_error(path, f"it is damaged, parts are missing ({verdict})", MOVE_AWAY)
