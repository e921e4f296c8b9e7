"""The response cache as a file under stress: several writers, kills, full disks."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cache_files import entries, held, key, opened

from pytest_llmbench.errors import CacheError
from pytest_llmbench.store.cache_file import CacheFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".llmbench" / "cache" / "cache.db"


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
    with pytest.raises(CacheError, match="its file system is read-only") as caught:
        opened(path)
    assert "the mount" in caught.value.hint  # and no promise that clearing would help
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
