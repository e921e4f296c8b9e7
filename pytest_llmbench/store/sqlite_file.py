"""One SQLite file: connecting to it, and finding out whether it is whole, writable and safe for several writers."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from pytest_llmbench.store.failures import ELSEWHERE, MOVE_AWAY, RECOVER, store_error

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for its turn."""

APPLICATION_ID = 0x4C4C4D42
"""`LLMB` in the header of every database of ours from format 0002 on; 0 before. `file` shows it."""

_NETWORK = re.compile(
    r"9p|afpfs|afs|beegfs|ceph|cifs|drvfs|glusterfs|gpfs|lustre|nfs4?|prl_fs|smb3|smbfs|vboxsf|webdav"
    r"|fuse\.(ceph|gcsfuse|glusterfs|rclone|s3fs|sshfs|vmhgfs-fuse)"
)
"""File systems that machines share; they may accept write-ahead logging and yet lose what another machine wrote."""

_PAGES_AT_ONCE = 500
"""Two megabytes: some milliseconds under the write lock."""

_WAL_REFUSED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR}


def address(path: Path, *, mode: str = "rw") -> str:
    """The file as SQLite's URI. Never mode `rwc`: opening creates nothing, so a lost file is an error and not empty."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def connect(path: Path, *, foreign_keys: bool = True) -> sqlite3.Connection:
    """A connection that begins no transaction by itself and may be handed from thread to thread (the pool's work)."""
    connection = _connect(address(path))
    try:
        # In WAL mode NORMAL survives the death of any process; only a power cut may take the last commits. The rollback
        # journal keeps SQLite's default, FULL: without it a power cut may damage the file.
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even a damaged file: a write-ahead log left behind is read, not folded."""
    return _connect(address(path, mode="ro"))


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def create_blank(path: Path) -> None:
    """An empty database, replacing what lies there; mode 0600, because prompts are inside."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(_connect(address(path))) as connection:
        # Space can then be given back a few pages at a time, between the writes of others.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("VACUUM")


def companions(path: Path) -> list[Path]:
    """The journals that belong to a database while it is in use, or after whoever used it was killed."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]


def remove_companions(path: Path) -> None:
    """Delete the journals of a database that is gone: SQLite would play them into its successor."""
    for journal in companions(path):
        journal.unlink(missing_ok=True)


def network_kind(folder: Path) -> str:
    """The file system (`nfs4`) of a folder that is shared by network; empty where it is local, or nobody knows."""
    import psutil  # noqa: PLC0415 - whoever opens the store to measure has it loaded; its reader need not

    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return ""  # no /proc: SQLite's own answer to WAL is all there is
    here = folder.resolve()
    holding = [mount for mount in mounts if here.is_relative_to(mount.mountpoint)]
    kind: str = max(reversed(holding), key=lambda mount: len(mount.mountpoint)).fstype if holding else ""
    return kind if _NETWORK.fullmatch(kind) else ""


def check_file(path: Path) -> None:
    """Refuse what is plainly no usable database, before any statement runs.

    Raises:
        StoreError: a folder, an empty file, one that cannot be written, or one that lost its end.
    """
    check_not_blank(path)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise store_error(path, "the file or its folder is read-only", ELSEWHERE)
    _check_whole(path)


def check_not_blank(path: Path) -> None:
    """Refuse what SQLite would take for a new database, or not open at all.

    Raises:
        StoreError: a folder, or an empty file.
    """
    if path.is_dir():
        raise store_error(path, "it is a folder", "move it away, or choose another --llmbench-results-dir.")
    if path.stat().st_size == 0:
        raise store_error(path, "it is empty (0 bytes); something cut it off", MOVE_AWAY)


def refuse_if_open(path: Path) -> None:
    """Raise where another process has the database open; one on a rollback journal is seen only while it writes."""
    with closing(_connect(address(path))) as connection:
        connection.execute("PRAGMA busy_timeout=1000")
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise


def choose_journal(path: Path) -> str:
    """Switch the file to write-ahead logging, which it keeps from then on; on a network folder, away from it.

    Returns:
        Why it is not in WAL mode, as the end of a sentence; empty where it is. WAL needs memory that all users of the
        file share: some network folders refuse it, others accept it and lose what another machine wrote.
    """
    kind = network_kind(path.parent)
    with closing(connect(path)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if (mode == "wal") == (not kind):
            return f"it lies on a network folder ({kind})" if kind else ""
        try:
            (mode,) = connection.execute(f"PRAGMA journal_mode={'DELETE' if kind else 'WAL'}").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _WAL_REFUSED:
                raise
            mode = f"{mode}: {error}"
    if kind:
        return f"it lies on a network folder ({kind})"
    return "" if mode == "wal" else f"its folder refuses it, as network folders do ({mode})"


def give_back_space(path: Path) -> None:
    """Shorten the file by its free pages, a few at a time, so that other writers get their turn in between."""
    with closing(connect(path)) as connection:
        left = _free_pages(connection)
        free = left + 1
        while 0 < left < free:  # no progress: others fill what we free, or the file was made before format 0002
            free = left
            connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
            left = _free_pages(connection)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _check_whole(path: Path) -> None:
    with closing(connect(path)) as connection:
        if not _seems_cut(connection, path):
            return
        # Only SQLite can tell a cut file from one whose missing pages still wait in the write-ahead log.
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict == "ok" and not _logged(path) and _seems_cut(connection, path):
            verdict = "a part of its last page"  # the rows on it seem whole, their values are not
    if verdict != "ok":
        raise store_error(path, f"it is damaged, parts are missing ({verdict})", RECOVER)


def _seems_cut(connection: sqlite3.Connection, path: Path) -> bool:
    # Asked of SQLite, not read from the header: when any file handle on a database closes, the kernel drops every lock
    # that this process has on it. Another process then deletes the log under our open connection: the end of the file.
    (pages,), (page_size,) = (connection.execute(f"PRAGMA {each}").fetchone() for each in ("page_count", "page_size"))
    # Size last: a writer that is just now extending the file can only make it larger than it was said to be.
    return path.stat().st_size < int(pages) * int(page_size)


def _logged(path: Path) -> bool:
    """Whether pages wait beside the file to be written into it."""
    return any(file.exists() and file.stat().st_size for file in companions(path) if not file.name.endswith("-shm"))
