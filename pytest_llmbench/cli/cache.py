"""`llmbench cache`: what lies in the response cache, and taking things out of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.opening import REDIS, backend_of, path_of
from pytest_llmbench.cli import project, screen
from pytest_llmbench.cli.consent import agreed
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import ExitCode, SpoiltCacheError
from pytest_llmbench.records import CacheStats
from pytest_llmbench.store.cache_making import discard, is_there


def stats(arguments: argparse.Namespace) -> int:
    """Print entries, size, hits and misses, and each model's share."""
    resolved = project.resolved(arguments)
    with _opened(resolved) as backend:
        found = backend.stats() if backend else CacheStats()
    if arguments.json:
        screen.show_json({"place": _place(resolved, backend), **found.as_dict()})
        return ExitCode.OK
    for name, value in _facts(_place(resolved, backend), found):
        screen.show_line(f"{name:<9}{value}")
    if found.by_model:
        print()
        rows = [(share.model, f"{share.entries:,}", screen.size(share.size_bytes)) for share in found.by_model]
        screen.show_table(("model", "replies", "size"), rows, cut=("model",))
    return ExitCode.OK


def prune(arguments: argparse.Namespace) -> int:
    """Remove what is expired or too much, and tell what is left."""
    with _opened(project.resolved(arguments)) as backend:
        gone = backend.prune() if backend else 0
        left = backend.stats() if backend else CacheStats()
        upkeep = backend.upkeep() if backend else ""
    if arguments.json:
        screen.show_json({"removed": gone, "entries": left.entries, "size_bytes": left.size_bytes})
    else:
        screen.show_line(f"removed {_replies(gone)}; {_replies(left.entries)} left, {screen.size(left.size_bytes)}")
        if upkeep:
            screen.show_line(upkeep)
    return ExitCode.OK


def clear(arguments: argparse.Namespace) -> int:
    """Remove all; a file that cannot be used is deleted. Asks first."""
    resolved = project.resolved(arguments)
    try:
        with _opened(resolved) as backend:
            return _cleared(backend, yes=arguments.yes)
    except SpoiltCacheError as error:
        screen.show_line(error.message)
    path = path_of(resolved)
    if arguments.yes or agreed(f"delete {path}"):
        discard(path)
        screen.show_line(f"deleted {path}")
    return ExitCode.OK


def _cleared(backend: Backend | None, *, yes: bool) -> int:
    entries = backend.stats().entries if backend else 0
    if backend is None or not (yes or agreed(f"remove {_replies(entries)} from {backend.place}")):
        print("nothing removed")
    else:
        screen.show_line(f"removed {_replies(backend.clear())}")
    return ExitCode.OK


@contextmanager
def _opened(resolved: Resolved) -> Iterator[Backend | None]:
    """The project's cache; None where there is none yet: looking makes none."""
    if resolved.config.cache.backend != REDIS and not is_there(path_of(resolved)):
        yield None
        return
    backend = backend_of(resolved)
    try:
        yield backend
    finally:
        backend.close()


def _place(resolved: Resolved, backend: Backend | None) -> str:
    return backend.place if backend else str(path_of(resolved))


def _facts(place: str, found: CacheStats) -> Iterator[tuple[str, str]]:
    yield "cache", place
    yield "replies", f"{found.entries:,}"
    yield "size", screen.size(found.size_bytes)
    if found.questions:
        yield "index", f"{screen.size(found.questions_bytes)} of questions, for the semantic cache"
    looked_up = found.hits + found.misses
    share = f", {found.hits / looked_up:.0%} of {looked_up:,} look-ups" if looked_up else ""
    yield "hits", f"{found.hits:,}{share}"
    if found.oldest_at:
        yield "oldest", f"{found.oldest_at[:16].replace('T', ' ')} UTC"


def _replies(count: int) -> str:
    return f"{count:,} {'reply' if count == 1 else 'replies'}"
