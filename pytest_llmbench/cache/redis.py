"""Cached replies in a Redis server, which several machines may share; extra `redis`.

Everything lies under one prefix, and nothing else of the server is read, changed or counted. The server is not trusted:
of a value that is too long no more than that is read, and with a key of ours one that somebody else wrote is not there.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pytest_llmbench import clock, redaction
from pytest_llmbench.cache.entries import HEAD_BYTES, MAX_BYTES, put_at
from pytest_llmbench.errors import CacheError, UsageError
from pytest_llmbench.extras import from_extra
from pytest_llmbench.records import CacheEntry, CacheStats
from pytest_llmbench.records.cached import QUESTIONS_KEY
from pytest_llmbench.secret import NO_KEY, Secret

PREFIX = "llmbench:cache:1:"
"""Of everything that is ours; the number is that of the layout."""
_SIGNATURE_BYTES = 32
LONGEST_BYTES = MAX_BYTES + _SIGNATURE_BYTES
"""A longer value is none of ours."""

_ENTRY = f"{PREFIX}entry:"
_QUESTIONS = f"{_ENTRY}{QUESTIONS_KEY}".encode()
_COUNTERS = f"{PREFIX}counters"
_CONNECT_S = 1.0
_ANSWER_S = 1.0
_AT_A_TIME = 500
_SCHEMES = ("redis", "rediss", "unix")


class RedisBackend:
    """A `Backend`; nothing is connected before its first use.

    Args:
        url: `redis://[[user]:password@]host[:port][/number]`, `rediss://` with TLS, or `unix://path`.
        ttl_s: after which the server forgets an entry; None: never.
        key: signs every value, for a server that others write to as well; without one, values are taken as they are.

    Raises:
        MissingExtraError: the extra `redis` is not installed.
        UsageError: the URL is none of Redis.
    """

    def __init__(self, url: str, *, ttl_s: float | None = None, key: Secret = NO_KEY) -> None:
        self._redis = from_extra("redis", "redis")
        parts = _parts_of(url)
        self.place = _place(parts)
        self._ttl_ms = None if ttl_s is None else max(1, int(ttl_s * 1000))
        self._key = key
        self._client = self._made(url)

    def _made(self, url: str) -> Any:
        backoff, retry = from_extra("redis.backoff", "redis"), from_extra("redis.retry", "redis")
        try:
            return self._redis.Redis.from_url(
                url,
                socket_connect_timeout=_CONNECT_S,
                socket_timeout=_ANSWER_S,
                retry=retry.Retry(backoff.NoBackoff(), 0),
            )
        except (ValueError, TypeError) as error:
            raise _not_a_url() from error

    def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The values that are there, not expired and, where there is a key, signed with it."""
        with self._asked() as client:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.getrange(_ENTRY + key, 0, LONGEST_BYTES)
            found = pipeline.execute(raise_on_error=False)
        self._tell_of(found)
        opened = ((key, self._opened(key, value)) for key, value in zip(keys, found, strict=True))
        return {key: value for key, value in opened if value is not None}

    def put(self, entries: Sequence[CacheEntry]) -> None:
        """Put them all, or none; one that is there is replaced."""
        with self._asked() as client:
            pipeline = client.pipeline(transaction=True)
            for entry in entries:
                pipeline.set(_ENTRY + entry.key, self._closed(entry), px=self._ttl_ms)
            pipeline.execute()

    def remove(self, keys: Sequence[str]) -> None:
        """Take away these."""
        if keys:
            with self._asked() as client:
                client.unlink(*(_ENTRY + key for key in keys))

    def count(self, *, hits: int, misses: int) -> None:
        """Add to the counters, which all who share the server have in common."""
        with self._asked() as client:
            pipeline = client.pipeline(transaction=True)
            pipeline.hincrby(_COUNTERS, "hits", hits)
            pipeline.hincrby(_COUNTERS, "misses", misses)
            pipeline.execute()

    def stats(self) -> CacheStats:
        """What lies there of ours; when it was put and of which models it is, the server does not know."""
        sizes: dict[bool, list[int]] = {False: [], True: []}
        with self._asked() as client:
            for names in self._names(client):
                for name, size in zip(names, self._sizes(client, names), strict=True):
                    if size:
                        sizes[_is_of_questions(name)].append(len(name) + size)
            hits, misses = client.hmget(_COUNTERS, "hits", "misses")
        replies, questions = sizes[False], sizes[True]
        return CacheStats(
            entries=len(replies),
            size_bytes=sum(replies) + sum(questions),
            hits=int(hits or 0),
            misses=int(misses or 0),
            questions=len(questions),
            questions_bytes=sum(questions),
        )

    def prune(self) -> int:
        """Take away what is older than the time to live of now: the server goes by the one that it was put with."""
        removed = 0
        with self._asked() as client:
            for names in self._names(client):
                heads = self._heads(client, [name for name in names if not _is_of_questions(name)])
                old = [name for name, head in heads.items() if self._is_too_old(head)]
                removed += client.unlink(*old) if old else 0
        return removed

    def upkeep(self) -> str:
        """That the server forgets by itself, and by which limit of its own."""
        try:
            with self._asked() as client:
                told = client.info("memory")
        except CacheError:  # not everybody may ask that
            told = {}
        most, policy = told.get("maxmemory"), told.get("maxmemory_policy", "")
        by_age = "the server forgets each entry by itself once its time to live is over"
        if not isinstance(most, int):
            return f"{by_age}; how much it holds is a setting of its own (`maxmemory`)"
        if not most:
            return f"{by_age}; it has no limit of size (`maxmemory` is 0), and `max_size` is for the file alone"
        does = "refuses new ones" if policy == "noeviction" else "pushes out others"
        return f"{by_age}, and {does} above its own limit of {most / 1e6:,.1f} MB (`maxmemory`, {policy})"

    def clear(self) -> int:
        """Take away every entry and the counters of ours; how many replies that were."""
        removed = 0
        with self._asked() as client:
            for names in self._names(client):
                questions = [name for name in names if _is_of_questions(name)]
                removed += client.unlink(*names) - len(questions)
            client.unlink(_COUNTERS)
        return max(0, removed)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        """The client, for one dealing with the server; whatever goes wrong is a `CacheError`."""
        errors = self._redis.exceptions
        try:
            yield self._client
        except (errors.RedisError, OSError, ValueError) as error:  # ValueError: a counter that somebody else wrote
            raise self._error(redaction.redact(str(error)) or type(error).__name__) from error

    def _error(self, why: str) -> CacheError:
        return CacheError(
            f"the cache at {self.place} cannot be used: {why}",
            hint="is the server running, and are address and password right? Asking goes on without it.",
        )

    def _tell_of(self, found: Sequence[Any]) -> None:
        """A key of another kind under one of our names is one that is not there; other complaints are the server's."""
        errors = [each for each in found if isinstance(each, Exception)]
        if errors and len(errors) == len(found) and not any(str(each).startswith("WRONGTYPE") for each in errors):
            raise self._error(redaction.redact(str(errors[0])))

    @staticmethod
    def _names(client: Any) -> Iterator[list[bytes]]:
        """Those of our entries, some at a time."""
        return _batches(client.scan_iter(match=f"{_ENTRY}*", count=_AT_A_TIME))

    @staticmethod
    def _sizes(client: Any, names: Sequence[bytes]) -> list[int]:
        """Of values; 0 where there is none, or none of our kind."""
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.strlen(name)
        found = pipeline.execute(raise_on_error=False)
        return [size if isinstance(size, int) else 0 for size in found]

    def _heads(self, client: Any, names: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """How values begin, without signatures; nobody has checked those."""
        first = _SIGNATURE_BYTES if self._key else 0
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.getrange(name, first, first + HEAD_BYTES - 1)
        found = zip(names, pipeline.execute(raise_on_error=False), strict=True)
        return {name: head for name, head in found if isinstance(head, bytes)}

    def _is_too_old(self, head: bytes) -> bool:
        at = put_at(head)
        return self._ttl_ms is not None and at is not None and clock.now() - at > timedelta(milliseconds=self._ttl_ms)

    def _closed(self, entry: CacheEntry) -> bytes:
        return self._signature(entry.key, entry.value) + entry.value if self._key else entry.value

    def _opened(self, key: str, value: Any) -> bytes | None:
        if not isinstance(value, bytes) or not 0 < len(value) <= LONGEST_BYTES:
            return None
        if not self._key:
            return value
        signature, rest = value[:_SIGNATURE_BYTES], value[_SIGNATURE_BYTES:]
        return rest if hmac.compare_digest(signature, self._signature(key, rest)) else None

    def _signature(self, key: str, value: bytes) -> bytes:
        """Of a value under its key, so that none can be put under another one."""
        signed = PREFIX.encode() + key.encode() + b"\0" + value
        return hmac.new(self._key.reveal().encode(), signed, hashlib.sha256).digest()


def _parts_of(url: str) -> SplitResult:
    """The URL taken apart; its password is taken out of every text from now on."""
    redaction.register_address(url)
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not (parts.hostname or parts.path) or (parts.port or 0) < 0:
            raise _not_a_url()
    except ValueError as error:
        raise _not_a_url() from error
    return parts


def _place(parts: SplitResult) -> str:
    """The URL without who asks and with which password."""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _not_a_url() -> UsageError:
    return UsageError(
        "the address of the Redis server is no URL that can be used",
        hint="write redis://host:6379/0, rediss://:password@host:6380/0 or unix:///path/to/redis.sock",
    )


def _is_of_questions(name: bytes) -> bool:
    return name.startswith(_QUESTIONS)


def _batches(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Some at a time; a name that a scan gives twice, within a batch once."""
    rest = iter(names)
    while batch := list(dict.fromkeys(islice(rest, _AT_A_TIME))):
        yield batch
