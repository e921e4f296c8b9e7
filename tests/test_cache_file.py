"""The response cache as a file: by key, by age, by size; whole under several writers, refused where it is not safe."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench import clock
from pytest_llmbench.errors import CacheError
from pytest_llmbench.records import CacheEntry, CacheStats, ModelShare
from pytest_llmbench.store.cache_file import CacheFile
from pytest_llmbench.store.cache_making import discard

MIB = 2**20
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


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


def opened(path: Path, *, ttl_h: float = 24, max_bytes: int = 64 * MIB, longest_bytes: int = MIB) -> CacheFile:
    return CacheFile(path, ttl_s=ttl_h * 3600, max_bytes=max_bytes, longest_bytes=longest_bytes)


def key(number: int) -> str:
    return f"{number:064x}"


def entry(number: int, size: int = 10, model: str = "cloud/one") -> CacheEntry:
    return CacheEntry(key(number), bytes([number % 251]) * size, model)


def entries(*numbers: int, **more: Any) -> list[CacheEntry]:
    return [entry(number, **more) for number in numbers]


def held(cache: CacheFile, count: int = 1000) -> set[int]:
    found = cache.get([key(number) for number in range(count)])
    return {int(each, 16) for each in found}


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


WRITER = """
import sys
from pathlib import Path
from pytest_llmbench.records import CacheEntry
from pytest_llmbench.store.cache_file import CacheFile
cache = CacheFile(Path(sys.argv[1]), ttl_s=1e6, max_bytes=2**30, longest_bytes=2**20)
first, last = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    cache.put([CacheEntry(f"{number:064x}", bytes([number % 251]) * 20_000, "m")])
    print(number, flush=True)
cache.close()
"""


def writer(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str]) -> set[int]:
    assert process.stdout is not None
    with process.stdout:
        told = process.stdout.read().split()
    process.wait()
    return set(map(int, told))


def sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as plain:
        return plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    """They begin on a folder without a file: one makes it, both fill it."""
    both = [writer(path, 0, 100), writer(path, 100, 200)]
    assert set.union(*map(acknowledged, both)) == set(range(200))
    assert [process.returncode for process in both] == [0, 0]
    with closing(opened(path)) as cache:
        assert held(cache) == set(range(200))
    assert sound(path)


def test_a_writer_that_is_killed_leaves_a_whole_file(path: Path) -> None:
    """SIGKILL at five moments: what was acknowledged is there and whole, and the next one writes on."""
    done: set[int] = set()
    for round_ in range(5):
        process = writer(path, 10_000 * round_, 10_000 * (round_ + 1))
        assert process.stdout is not None
        for _ in range(1 + 7 * round_):
            done.add(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        done |= acknowledged(process)
        assert process.returncode == -signal.SIGKILL
    assert sound(path)
    with closing(opened(path)) as cache:
        found = cache.get([key(number) for number in sorted(done)])
        assert found == {key(number): bytes([number % 251]) * 20_000 for number in done}


def refusal(path: Path) -> str:
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert caught.value.message.startswith(f"the response cache {path} is not used: ") or is_of_folder(
        caught.value, path
    )
    return caught.value.message


def is_of_folder(error: CacheError, path: Path) -> bool:
    return error.message.startswith(f"the response cache {path.parent} is not used: ")


def test_a_file_that_others_may_write_to_is_refused(path: Path) -> None:
    """They could put answers into it; so could who may write into its folder."""
    opened(path).close()
    path.chmod(0o666)
    assert "others may write to it (mode 0666)" in refusal(path)
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert "others may write to it (mode 0777)" in refusal(path)
    path.parent.chmod(0o700)
    opened(path).close()


@pytest.mark.skipif(not is_root, reason="giving a file away needs root")
def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    """As a file and as a folder."""
    opened(path).close()
    os.chown(path, 12345, -1)
    assert "it belongs to another user (uid 12345)" in refusal(path)
    with pytest.raises(CacheError, match="belongs to another user"):
        discard(path)
    os.chown(path, os.geteuid(), -1)
    os.chown(path.parent, 12345, -1)
    assert "it belongs to another user (uid 12345)" in refusal(path)


@pytest.mark.skipif(not is_root, reason="giving a folder away needs root")
def test_of_what_belongs_to_somebody_else_no_clearing_is_promised(path: Path) -> None:
    """The hint names who can help, and what else can be done."""
    opened(path).close()
    os.chown(path.parent, 12345, -1)
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert "have its owner remove it, or choose another folder" in caught.value.hint
    with pytest.raises(CacheError, match="belongs to another user"):
        discard(path)
    assert path.exists()


def test_a_folder_that_is_a_link_is_left_to_its_owner(path: Path, tmp_path: Path) -> None:
    """What it leads to may be anything: nothing there is deleted, nor given other rights."""
    opened(path).close()
    elsewhere = path.parent.rename(tmp_path / "elsewhere")
    elsewhere.chmod(0o750)
    path.parent.symlink_to(elsewhere)
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert "put a folder in its place" in caught.value.hint
    with pytest.raises(CacheError, match="symbolic link"):
        discard(path)
    assert (elsewhere / "cache.db").exists()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o750


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    """It could lead to a file of the user's that is no cache."""
    opened(path).close()
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert "symbolic link" in refusal(path)
    (tmp_path / "elsewhere.db").unlink()
    assert "symbolic link" in refusal(path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _nonsense(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def _other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("CREATE TABLE entries (key)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA user_version = 2")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "said", "way_out"),
    [
        (_empty, "it is empty", "llmbench cache clear"),
        (_nonsense, "it is not an SQLite database", "llmbench cache clear"),
        (_other_database, "no response cache", "llmbench cache clear"),
        (_newer, "it has format 2", "llmbench cache clear"),
        (_folder, "it is a folder", "move it away"),
    ],
)
def test_what_is_no_cache_of_ours_is_not_used_and_not_touched(
    path: Path, damage: Callable[[Path], None], said: str, way_out: str
) -> None:
    """The reason in one sentence; the way out is named."""
    opened(path).close()
    damage(path)
    path.chmod(0o700 if path.is_dir() else 0o600)
    before = None if path.is_dir() else path.read_bytes()
    assert said in refusal(path)
    assert before is None or path.read_bytes() == before
    with pytest.raises(CacheError) as caught:
        opened(path)
    assert way_out in caught.value.hint


def test_a_page_that_is_damaged_is_an_error_of_the_cache_and_of_nothing_else(path: Path) -> None:
    """Reading and writing tell so; discarding it makes room for a new one."""
    with closing(opened(path)) as cache:
        cache.put(entries(*range(200), size=3000))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(CacheError, match="damaged"):
        opened(path).get([key(1)])
    discard(path)
    with closing(opened(path)) as cache:
        assert cache.stats().entries == 0


def test_no_place_for_a_cache_is_an_error_of_the_cache(tmp_path: Path) -> None:
    """Where its folder would be lies a file."""
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(CacheError, match="cannot be used"):
        opened(tmp_path / "cache" / "cache.db")
    assert (tmp_path / "cache").read_text() == "mine"


@pytest.mark.skipif(is_root, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_not_used(path: Path) -> None:
    """A file or a folder without the right to write."""
    opened(path).close()
    path.chmod(0o400)
    assert "read-only" in refusal(path)
    path.chmod(0o600)
    path.parent.chmod(0o500)
    assert "read-only" in refusal(path)
    path.parent.chmod(0o700)


def _fill(cache: CacheFile) -> None:
    for number in range(1000):
        cache.put(entries(number, size=50_000))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root; RLIMIT_FSIZE stands in for it in the other test")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_or_read_only_is_an_error_of_the_cache(mounted: Path) -> None:
    """What was put before it was full is read on; once it can be written again, it is."""
    path = mounted / "cache" / "cache.db"
    cache = opened(path)
    with pytest.raises(CacheError, match="the disk is full") as caught:
        _fill(cache)
    assert "free some space" in caught.value.hint
    assert 0 in held(cache)
    cache.close()
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(CacheError, match=r"read-only|cannot be used"):
        opened(path)
    subprocess.run(["mount", "-o", "remount,rw", str(mounted)], check=True)
    with closing(opened(path)) as again:
        assert 0 in held(again)


FILLER = """
import resource, sys
from pathlib import Path
from pytest_llmbench.errors import CacheError
from pytest_llmbench.records import CacheEntry
from pytest_llmbench.store.cache_file import CacheFile
cache = CacheFile(Path(sys.argv[1]), ttl_s=1e6, max_bytes=2**30, longest_bytes=2**20)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    for number in range(1000):
        cache.put([CacheEntry(f"{number:064x}", b"x" * 50_000, "m")])
except CacheError as error:
    print(number, error.message)
print(len(cache.get([f"{number:064x}" for number in range(1000)])))
"""


def test_a_file_that_cannot_grow_is_an_error_of_the_cache(path: Path) -> None:
    """In a process whose files may not grow beyond two megabytes."""
    command = [sys.executable, "-c", FILLER, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    number, message = told[0].split(" ", 1)
    assert message.startswith(f"the response cache {path} is not used: ")
    assert int(told[1]) == int(number) > 5
    assert sound(path)
