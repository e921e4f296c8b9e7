"""The response cache that a run's settings ask for, or why it has none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pytest_llmbench import clock
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.entries import MAX_BYTES, decoded
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.cache.semantic import CHAT, Likeness
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import CacheError, UsageError
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.secret import NO_KEY, Secret

REDIS = "redis"
_WITHOUT_TEXTS = "the response cache is not used: with keep_prompts false no texts are stored, and it holds texts"


def path_of(resolved: Resolved) -> Path:
    """Where the cache of a project lies that is a file."""
    return resolved.results_dir / "cache" / "cache.db"


def opened(resolved: Resolved, observer: Observer | None = None) -> tuple[ResponseCache | None, str]:
    """The cache of a run.

    Args:
        resolved: settings and configuration.
        observer: told when its place fails.

    Returns:
        None where there is none; and why, in a sentence, where one was asked for.

    Raises:
        UsageError: it is to be a Redis server, and the address or the extra is missing.
    """
    settings = resolved.settings
    if settings.cache == "off" or settings.replay:  # of a cassette all is given
        return None, ""
    if not settings.keep_prompts:
        return None, _WITHOUT_TEXTS
    tell = _telling(observer)
    try:
        backend = backend_of(resolved)
    except CacheError as error:
        tell(error.message)
        return None, str(error)
    # What is recorded has to be received: a cassette without the cached replies would be one with holes.
    refresh = settings.cache == "refresh" or bool(settings.record)
    likeness = None if refresh else likeness_of(resolved, backend)
    ttl_s = resolved.config.cache.ttl_s
    return ResponseCache(backend, ttl_s=ttl_s, refresh=refresh, tell=tell, likeness=likeness), ""


@contextmanager
def looking_up(resolved: Resolved, observer: Observer | None = None) -> Iterator[ResponseCache | None]:
    """As `opened`, for the length of a block; why there is none is not told."""
    cache, _ = opened(resolved, observer)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()


def held(resolved: Resolved, keys: Sequence[str]) -> frozenset[str]:
    """Those of some keys whose replies a run would get from its cache; looking makes no file, and counts no hit."""
    s, is_file = resolved.settings, resolved.config.cache.backend != REDIS
    is_on = s.cache == "on" and s.keep_prompts and not (s.record or s.replay)
    if not (is_on and keys) or (is_file and not path_of(resolved).exists()):
        return frozenset()
    try:
        backend = backend_of(resolved)
        with closing(backend):
            values, now = backend.get(keys), clock.now()
    except CacheError:
        return frozenset()
    ttl_s = resolved.config.cache.ttl_s
    return frozenset(key for key, value in values.items() if decoded(key, value, ttl_s=ttl_s, now=now))


def likeness_of(resolved: Resolved, backend: Backend) -> Likeness | None:
    """What finds replies to questions alike, where chats may be given them.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
    """
    chosen = resolved.config.cache
    if chosen.semantic is None or not chosen.is_semantic_for(CHAT):
        return None
    return Likeness(backend, threshold=chosen.semantic.threshold, ttl_s=chosen.ttl_s)


def backend_of(resolved: Resolved) -> Backend:
    """The place of a project's cache, opened; a file is made where there is none.

    Raises:
        CacheError: it cannot be used.
        UsageError: it is to be a Redis server, and the address or the extra is missing.
    """
    chosen = resolved.config.cache
    if chosen.backend == REDIS:
        from pytest_llmbench.cache.redis import RedisBackend  # noqa: PLC0415 - an extra

        key = Secret(_told_by(chosen.key_env)) if chosen.key_env else NO_KEY
        return RedisBackend(_told_by(chosen.url_env), ttl_s=chosen.ttl_s, key=key)
    from pytest_llmbench.store.cache_file import CacheFile  # noqa: PLC0415 - SQLAlchemy, which few processes need

    return CacheFile(path_of(resolved), ttl_s=chosen.ttl_s, max_bytes=chosen.max_size_bytes, longest_bytes=MAX_BYTES)


def _telling(observer: Observer | None) -> Callable[[str], None]:
    def tell(message: str) -> None:
        if observer is not None:
            observer.notes(Note(Kind.CACHE_ERROR, message))

    return tell


def _told_by(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"the response cache is to lie in Redis, and ${variable} is not set",
            hint="set it (redis://127.0.0.1:6379/0 is the usual address), or take the file: cache: {backend: sqlite}",
        )
    return value
