"""The response cache as one SQLite file: found by key, forgotten by age and size, never trusted and never needed.

It lies beside the results database and has none of its promises: whatever is wrong with it, the way out is a new one.
So there are no migrations: a file of another format is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, LargeBinary, bindparam, cast, delete, func, select, update

from pytest_llmbench import clock
from pytest_llmbench.errors import CacheError
from pytest_llmbench.records import QUESTIONS, CacheEntry, CacheStats, ModelShare
from pytest_llmbench.store.cache_making import counters, entries, explained, opened
from pytest_llmbench.store.database import reader_of
from pytest_llmbench.store.rows import insert
from pytest_llmbench.store.sqlite_file import give_back_space

_AT_ONCE = 500
_FILL = 0.9
"""How much of the size is left when it was too much: else every entry would push out another."""


_FOUND = select(
    entries.c.key,
    # SQLite keeps whatever kind of value somebody wrote.
    func.substr(cast(entries.c.value, LargeBinary), 1, bindparam("longest"), type_=LargeBinary),
).where(entries.c.put_at >= bindparam("oldest"), entries.c.key.in_(bindparam("keys", expanding=True)))

_NEW = insert(entries)
_PUT = _NEW.on_conflict_do_update(
    index_elements=["key"],
    set_={column.name: _NEW.excluded[column.name] for column in entries.c if column.name != "key"},
)
_REPLIES = select(func.count()).select_from(entries).where(entries.c.model != QUESTIONS)
_USED = update(entries).where(entries.c.key == bindparam("of")).values(used_at=bindparam("at"))


class CacheFile:
    """Implements `cache.backend.Backend`; see there. Several processes may have it open.

    Args:
        path: the file; made, with a folder of its own, where there is none.
        ttl_s: how old an entry may be that is given.
        max_bytes: how large the file may become, its journal aside.
        longest_bytes: a value that is longer is cut off when it is read.

    Raises:
        CacheError: it cannot be made, read or written, is not ours or not of our format, or others may write to it.
    """

    def __init__(self, path: Path, *, ttl_s: float, max_bytes: int, longest_bytes: int) -> None:
        self.path = path
        self._ttl = timedelta(seconds=ttl_s)
        self._max_bytes = max_bytes
        self._longest_bytes = longest_bytes
        self._used: dict[str, str] = {}
        """Key → when it was given, of those that the file does not know of yet."""
        self._writer = opened(path)
        self._reader = reader_of(self._writer)

    @property
    def place(self) -> str:
        return str(self.path)

    def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        oldest, found = self._oldest(), dict[str, bytes]()
        with self._reading() as connection:
            for start in range(0, len(keys), _AT_ONCE):
                asked = {"keys": keys[start : start + _AT_ONCE], "oldest": oldest, "longest": self._longest_bytes + 1}
                found.update((key, data) for key, data in connection.execute(_FOUND, asked))
        self._used.update(dict.fromkeys(found, clock.now().isoformat()))
        if len(self._used) >= _AT_ONCE:
            self._tell_of_use()
        return found

    def put(self, new: Sequence[CacheEntry]) -> None:
        if not new:
            return
        at = clock.now().isoformat()
        rows = [_row(entry, at) for entry in {entry.key: entry for entry in new}.values()]
        with self._writing() as connection:
            self._note_use(connection)
            connection.execute(_PUT, rows)
            if _live_bytes(connection) > self._max_bytes:
                self._make_room(connection)

    def remove(self, keys: Sequence[str]) -> None:
        with self._writing() as connection:
            for start in range(0, len(keys), _AT_ONCE):
                some = entries.c.key.in_(keys[start : start + _AT_ONCE])
                connection.execute(delete(entries).where(some))

    def count(self, *, hits: int, misses: int) -> None:
        statement = insert(counters)
        total = counters.c["count"] + statement.excluded["count"]
        rows = [{"name": "hits", "count": hits}, {"name": "misses", "count": misses}]
        with self._writing() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"count": total}), rows)

    def stats(self) -> CacheStats:
        size = func.coalesce(func.sum(entries.c.size_bytes), 0)
        by_model = select(entries.c.model, func.count(), size).group_by(entries.c.model).order_by(size.desc())
        with self._reading() as connection:
            shares = [ModelShare(*row) for row in connection.execute(by_model)]
            counted = {row[0]: row[1] for row in connection.execute(select(counters))}
            oldest = connection.scalar(select(func.min(entries.c.put_at)))
        replies = tuple(share for share in shares if share.model != QUESTIONS)
        questions = [share for share in shares if share.model == QUESTIONS]
        return CacheStats(
            entries=sum(share.entries for share in replies),
            size_bytes=sum(share.size_bytes for share in shares),
            hits=counted.get("hits", 0),
            misses=counted.get("misses", 0),
            oldest_at=oldest or "",
            by_model=replies,
            questions=sum(share.entries for share in questions),
            questions_bytes=sum(share.size_bytes for share in questions),
        )

    def prune(self) -> int:
        with self._writing() as connection:
            before = _replies(connection)
            self._forget_expired(connection)
            if _live_bytes(connection) > self._max_bytes:
                self._make_room(connection)
            gone = before - _replies(connection)
        self._give_back_space()
        return gone

    def upkeep(self) -> str:
        return ""

    def clear(self) -> int:
        with self._writing() as connection:
            gone = _replies(connection)
            connection.execute(delete(entries))
            connection.execute(delete(counters))
        self._used.clear()
        self._give_back_space()
        return gone

    def close(self) -> None:
        self._tell_of_use()
        with explained(self.path):
            self._writer.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self.path), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with explained(self.path), self._writer.begin() as connection:
            yield connection

    def _give_back_space(self) -> None:
        with explained(self.path):
            give_back_space(self.path)

    def _oldest(self) -> str:
        return (clock.now() - self._ttl).isoformat()

    def _tell_of_use(self) -> None:
        with suppress(CacheError), self._writing() as connection:  # a full disk can still be read
            self._note_use(connection)

    def _note_use(self, connection: Connection) -> None:
        if not self._used:
            return
        used, self._used = self._used, {}
        connection.execute(_USED, [{"of": key, "at": at} for key, at in used.items()])

    def _forget_expired(self, connection: Connection) -> None:
        connection.execute(delete(entries).where(entries.c.put_at < self._oldest()))

    def _make_room(self, connection: Connection) -> None:
        """Forget what is expired, then what was used longest ago, until there is some room."""
        self._forget_expired(connection)
        unused = select(entries.c.key, entries.c.size_bytes).order_by(entries.c.used_at).limit(_AT_ONCE)
        while (over := _live_bytes(connection) - int(self._max_bytes * _FILL)) > 0:
            doomed: list[str] = []
            for key, size_bytes in connection.execute(unused).all():
                if over > 0:
                    doomed.append(key)
                    over -= size_bytes
            if not doomed:
                break
            connection.execute(delete(entries).where(entries.c.key.in_(doomed)))


def _row(entry: CacheEntry, at: str) -> dict[str, object]:
    return {
        "key": entry.key,
        "value": entry.value,
        "model": entry.model,
        "size_bytes": len(entry.key) + len(entry.value),
        "put_at": at,
        "used_at": at,
    }


def _replies(connection: Connection) -> int:
    return int(connection.scalar(_REPLIES) or 0)


def _live_bytes(connection: Connection) -> int:
    """What the file's pages hold, without those that are free."""
    pages, free, size = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
