"""What SQLite says when it fails, in words a reader can act on."""

from __future__ import annotations

import errno
import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import StatementError

from pytest_llmbench.errors import Category, StoreError
from pytest_llmbench.records import MalformedRecordError

MOVE_AWAY = "nothing was changed. Move the file away and the next run starts a new one."
RECOVER = (
    "nothing was changed. `llmbench db check FILE` says how bad it is; `llmbench db recover FILE` saves what can be "
    "read and puts the damaged file aside."
)
BY_PAGES = "nothing was changed. `sqlite3 FILE .recover` reads its pages without that list."
ELSEWHERE = "check the permissions and the mount, or choose another folder with --llmbench-results-dir."
FREE_SPACE = "free some space, or choose another folder with --llmbench-results-dir."

_KNOWN = {
    sqlite3.SQLITE_FULL: ("the disk is full", FREE_SPACE),
    sqlite3.SQLITE_READONLY: ("it is read-only", ELSEWHERE),
    sqlite3.SQLITE_PERM: ("access is denied", ELSEWHERE),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened, or its folder cannot be written", ELSEWHERE),
    sqlite3.SQLITE_NOTADB: ("it is not an SQLite database, or its beginning is damaged", RECOVER),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", RECOVER),
    sqlite3.SQLITE_IOERR: (
        "reading or writing it failed",
        "is the disk full, a quota used up? The system log tells more. What was stored before stays readable.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process keeps it locked",
        "find the process that holds it (`fuser FILE`); it may be stopped in a debugger or by Ctrl-Z.",
    ),
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: (
        "the run or measurement to which this belongs is not there",
        "was the run removed (`llmbench runs rm`) while it was going on?",
    ),
}
"""SQLite result code, primary or extended → what happened, what to do next."""

_NOT_OUR_SCHEMA = re.compile(r"no such (table|column)|has no column named|error in (table|index)")


def store_error(path: Path, what: str, hint: str, *, category: Category = Category.STORE) -> StoreError:
    """The error for `path`: every message about the database begins alike and names the file."""
    return StoreError(
        f"results database {path}: {what}", category=category, hint=hint.replace("FILE", shlex.quote(str(path)))
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn failures of the database file into `StoreError`; mistakes in our own SQL rise as they are.

    Raises:
        StoreError: the file, its folder or its content is at fault, or a value cannot be kept as JSON.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except StatementError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise _translated(path, error.orig) from error
        if isinstance(error.orig, ValueError):
            raise store_error(path, f"a value cannot be kept ({error.orig})", "") from error
        raise
    except json.JSONDecodeError as error:
        raise store_error(path, f"it is damaged: a value in it is no JSON ({error})", RECOVER) from error
    except MalformedRecordError as error:  # JSON whose names were garbled
        raise store_error(path, f"it is damaged: {error}", RECOVER) from error
    except UnicodeDecodeError as error:  # of SQLite's own message, which quotes from the file
        raise store_error(path, f"it is damaged: a text in it is no UTF-8 ({error})", RECOVER) from error
    except OSError as error:
        raise _from_os(path, error) from error


def is_locked(error: BaseException) -> bool:
    """Whether it was the database as a whole that could not be had, within the time that is waited for it."""
    cause = error.__cause__
    reason = cause.orig if isinstance(cause, StatementError) else cause
    return (getattr(reason, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_BUSY


def reason(error: sqlite3.Error) -> tuple[str, str, int] | None:
    """What happened, what to do next, and SQLite's code; None for a mistake in our own SQL."""
    # Python's own complaint about a text that is no UTF-8 has no code; we write UTF-8 only.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT if "decode" in str(error) else 0)
    if code == sqlite3.SQLITE_ERROR and _NOT_OUR_SCHEMA.search(str(error)):
        code = sqlite3.SQLITE_CORRUPT  # its format was looked at when it was opened: the description itself is garbled
    known = _KNOWN.get(code) or _KNOWN.get(code & 0xFF)
    return None if known is None else (*known, code)


def _translated(path: Path, error: sqlite3.Error) -> BaseException:
    known = reason(error)
    if known is None:
        return error
    what, hint, code = known
    category = Category.LOCAL_DISK_FULL if code & 0xFF == sqlite3.SQLITE_FULL else Category.STORE
    return store_error(path, f"{what} ({error})", hint, category=category)


def _from_os(path: Path, error: OSError) -> StoreError:
    if error.errno == errno.ENOSPC:
        return store_error(path, f"the disk is full ({error})", FREE_SPACE, category=Category.LOCAL_DISK_FULL)
    return store_error(path, f"it cannot be used ({error})", ELSEWHERE)
