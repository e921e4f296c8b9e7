"""The response cache as a file: by key, by age, by size."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_files import MIB, entries, held, key, opened

from pytest_llmbench import clock
from pytest_llmbench.records import CacheEntry, CacheStats, ModelShare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".llmbench" / "cache" / "cache.db"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock to so many hours after a moment."""

    def set_to(hours: float) -> None:
        now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hours)
        monkeypatch.setattr(clock, "now", lambda: now)

    set_to(0)
    return set_to


def test_what_is_put_is_found_in_this_session_and_the_next(path: Path) -> None:
    """By its key alone; the last one put stands."""
    with closing(opened(path)) as cache:
        cache.put([*entries(1, 2), CacheEntry(key(1), b"newer", "cloud/two")])
        assert cache.get([key(1), key(3)]) == {key(1): b"newer"}
        cache.put([CacheEntry(key(2), b"again", "cloud/one")])
        cache.remove([key(1), key(9)])
    with closing(opened(path)) as cache:
        assert cache.get([key(number) for number in range(2000)]) == {key(2): b"again"}
        assert cache.place == str(path)


def test_the_file_is_nobody_elses_to_read(path: Path) -> None:
    """Mode 0600 in a folder of 0700, journals as well; one that was copied with other rights gets these."""
    with closing(opened(path)) as cache:
        cache.put(entries(1))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes.pop("cache.db") == 0o600
    assert set(modes.values()) <= {0o600}
    path.chmod(0o644)
    opened(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_too_old_is_not_given_whatever_it_was_put_with(path: Path, at: Callable[[float], None]) -> None:
    """The time to live is that of who asks; pruning takes away what is over it."""
    with closing(opened(path, ttl_h=1000)) as cache:
        cache.put(entries(1))
        at(20)
        cache.put(entries(2))
    at(30)
    with closing(opened(path, ttl_h=24)) as cache:
        assert held(cache) == {2}
        assert cache.stats().entries == 2
        assert cache.prune() == 1
        assert (cache.stats().entries, cache.prune()) == (1, 0)


def test_the_size_is_kept_by_forgetting_what_was_used_longest_ago(path: Path, at: Callable[[float], None]) -> None:
    """Looking up counts as use, also of an earlier session; the file does not grow beyond its size, journal aside."""
    with closing(opened(path, max_bytes=MIB)) as cache:
        for number in range(8):
            at(number / 10)
            cache.put(entries(number, size=100_000))
        at(1)
        cache.get([key(0), key(2)])
    with closing(opened(path, max_bytes=MIB)) as cache:
        for number in range(8, 14):
            at(2 + number / 10)
            cache.put(entries(number, size=100_000))
            assert cache.get([key(0)])
        left = held(cache)
    assert {0, 2, 11, 12, 13} <= left
    assert not {1, 3, 4} & left
    assert len(left) >= 7
    assert path.stat().st_size <= 1.2 * MIB


def test_a_smaller_size_is_a_matter_of_pruning(path: Path) -> None:
    """And the space is given back to the disk."""
    with closing(opened(path)) as cache:
        cache.put(entries(*range(40), size=100_000))
    before = path.stat().st_size
    with closing(opened(path, max_bytes=MIB)) as cache:
        assert cache.prune() >= 30
        assert 5 <= cache.stats().entries <= 10
    assert path.stat().st_size < before / 3


def test_one_entry_that_is_larger_than_all_is_not_kept_for_long(path: Path) -> None:
    """It pushes out itself, and no loop without end."""
    with closing(opened(path, max_bytes=MIB, longest_bytes=8 * MIB)) as cache:
        cache.put(entries(1))
        cache.put(entries(2, size=3 * MIB))
        assert held(cache) == set()
        cache.put(entries(3))
        assert held(cache) == {3}


def test_a_row_that_was_made_huge_is_read_no_further_than_any_may_be(path: Path) -> None:
    """A gigabyte in the file is no gigabyte of memory: it comes cut off, and its checksum does not fit."""
    opened(path).close()
    with closing(sqlite3.connect(path)) as plain, plain:
        at = datetime.now(UTC).isoformat()
        row = (key(1), 200 * MIB, "m", 5, at, at)
        plain.execute("INSERT INTO entries VALUES (?, zeroblob(?), ?, ?, ?, ?)", row)
    with closing(opened(path, longest_bytes=1000)) as cache:
        assert len(cache.get([key(1)])[key(1)]) == 1001


def test_statistics_tell_what_lies_there_and_what_it_was_good_for(path: Path, at: Callable[[float], None]) -> None:
    """By model, the largest first; hits and misses are those of all sessions, until it is cleared."""
    with closing(opened(path)) as cache:
        assert cache.stats() == CacheStats()
        cache.put(entries(1, 2, size=10, model="cloud/small"))
        at(1)
        cache.put(entries(3, size=500, model="cloud/large"))
        cache.count(hits=2, misses=5)
    with closing(opened(path)) as cache:
        cache.count(hits=1, misses=0)
        assert cache.stats() == CacheStats(
            entries=3,
            size_bytes=3 * 64 + 520,
            hits=3,
            misses=5,
            oldest_at="2026-11-22T00:00:00+00:00",
            by_model=(ModelShare("cloud/large", 1, 564), ModelShare("cloud/small", 2, 148)),
        )
        assert cache.clear() == 3
        assert cache.stats() == CacheStats()
        assert held(cache) == set()
