"""`llmbench cache`: what lies there, pruning, clearing; a cache that cannot be used is told and can be cleared."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_llmbench import clock
from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import QUESTIONS, CacheEntry
from pytest_llmbench.store.cache_file import CacheFile

LATER = datetime.now(UTC) + timedelta(days=8)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and we stand in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.fixture
def place(project: Path) -> Path:
    """A cache with four replies of two models, looked up ten times."""
    place = project / ".llmbench" / "cache" / "cache.db"
    with closing(CacheFile(place, ttl_s=1e6, max_bytes=2**30, longest_bytes=2**20)) as cache:
        models = ("cloud/\x1b[31mlarge", *["cloud/small"] * 3)
        cache.put([CacheEntry(f"{n:064x}", b"x" * (2_000_000 - 600_000 * n), model) for n, model in enumerate(models)])
        cache.count(hits=7, misses=3)
    return place


def test_statistics_tell_entries_size_hits_and_models(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people, with hostile names made safe; as JSON for programs."""
    assert main(["cache", "stats"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert f"cache    {place}\nreplies  4\nsize     4.4 MB\nhits     7, 70% of 10 look-ups\noldest   20" in out
    assert [line.split()[-3:] for line in out.splitlines()[-2:]] == [["3", "2.4", "MB"], ["1", "2.0", "MB"]]
    assert "\x1b" not in out
    assert main(["cache", "stats", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["place"], told["entries"], told["hits"], told["misses"]) == (str(place), 4, 7, 3)
    assert [share["entries"] for share in told["by_model"]] == [3, 1]


def test_looking_at_a_cache_that_is_not_there_makes_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does pruning or clearing it."""
    for words in (["stats"], ["stats", "--json"], ["prune"], ["clear", "--yes"]):
        assert main(["cache", *words]) == ExitCode.OK
    assert "replies  0" in capsys.readouterr().out
    assert [file.name for file in project.iterdir()] == ["pytest.ini"]


def test_pruning_goes_by_the_age_and_size_of_the_configuration(
    place: Path, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the size, then the time to live."""
    assert main(["cache", "prune"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 0 replies; 4 replies left, 4.4 MB\n"
    (project / "llmbench.yaml").write_text("cache: {max_size: 3MB, ttl: 7d}\n")
    assert main(["cache", "prune", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["removed"] + told["entries"] == 4
    assert 0 < told["size_bytes"] <= 3_000_000
    assert place.stat().st_size <= 3_100_000
    monkeypatch.setattr(clock, "now", lambda: LATER)
    assert main(["cache", "prune"]) == ExitCode.OK
    assert capsys.readouterr().out.endswith("; 0 replies left, 0 B\n")


def test_clearing_asks_first_and_takes_all(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can be asked, --yes says so; counters begin anew."""
    assert main(["cache", "clear"]) == ExitCode.USAGE
    assert "would remove 4 replies from" in capsys.readouterr().err
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 4 replies\n"
    main(["cache", "stats", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "place": str(place),
        "entries": 0,
        "size_bytes": 0,
        "hits": 0,
        "misses": 0,
        "oldest_at": "",
        "by_model": [],
        "questions": 0,
        "questions_bytes": 0,
    }


def test_a_cache_that_cannot_be_used_is_told_and_can_be_cleared(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged: why, and the way out, which works."""
    place.write_bytes(b"no database" * 1000)
    assert main(["cache", "stats"]) == ExitCode.TESTS_FAILED
    told = capsys.readouterr().err
    assert "it is not an SQLite database" in told
    assert "llmbench cache clear" in told
    assert main(["cache", "clear"]) == ExitCode.USAGE
    assert place.exists()
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert f"deleted {place}" in capsys.readouterr().out
    assert not place.exists()


def _file_of_all(place: Path) -> None:
    place.chmod(0o664)


def _folder_of_all(place: Path) -> None:
    place.parent.chmod(0o775)


def _empty_folder_of_all(place: Path) -> None:
    place.unlink()
    place.parent.chmod(0o775)


def _link(place: Path) -> None:
    place.rename(place.with_name("elsewhere.db"))
    place.symlink_to("elsewhere.db")


def _dangling_link(place: Path) -> None:
    place.unlink()
    place.symlink_to("nowhere.db")


@pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")
@pytest.mark.parametrize("spoil", [_file_of_all, _folder_of_all, _empty_folder_of_all, _link, _dangling_link])
def test_clearing_is_the_way_out_where_others_may_write(
    place: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None]
) -> None:
    """As the hint says: from then on a cache is used again."""
    spoil(place)
    assert main(["cache", "stats"]) == ExitCode.TESTS_FAILED
    assert "llmbench cache clear" in capsys.readouterr().err
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert f"deleted {place}" in capsys.readouterr().out
    assert not os.path.lexists(place)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    with closing(CacheFile(place, ttl_s=1e6, max_bytes=2**30, longest_bytes=2**20)) as cache:
        assert cache.stats().entries == 0
    assert spoil is not _link or place.with_name("elsewhere.db").exists()


def test_clearing_a_cache_that_is_busy_deletes_no_file(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes to it: that passes, and the replies are whole."""
    monkeypatch.setattr("pytest_llmbench.store.cache_making._BUSY_TIMEOUT_MS", 20)
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["cache", "clear", "--yes"]) == ExitCode.TESTS_FAILED
    assert "another process keeps it locked" in capsys.readouterr().err
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 4 replies\n"


def test_looking_into_an_empty_folder_makes_no_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has deleted the file."""
    place.unlink()
    before = sorted(place.parent.iterdir())
    for words in (["stats"], ["prune"], ["clear", "--yes"]):
        assert main(["cache", *words]) == ExitCode.OK
    assert "replies  0" in capsys.readouterr().out
    assert sorted(place.parent.iterdir()) == before


@pytest.mark.parametrize("words", [["stats"], ["prune"], ["clear", "--yes"]])
def test_a_folder_that_is_a_file_is_told(place: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """It is nobody's cache, and stays."""
    place.unlink()
    for file in place.parent.iterdir():
        file.unlink()
    place.parent.rmdir()
    place.parent.write_text("mine")
    place.parent.chmod(0o600)
    assert main(["cache", *words]) == ExitCode.TESTS_FAILED
    told = capsys.readouterr().err
    assert f"the response cache {place} is not used: it cannot be used" in told
    assert "Traceback" not in told
    assert place.parent.read_text() == "mine"


@pytest.mark.parametrize("words", [["stats"], ["prune"]])
def test_a_file_of_a_newer_version_is_told_and_left_alone(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """An update reads it; clearing is the other way out."""
    with closing(sqlite3.connect(place)) as plain:
        plain.execute("PRAGMA user_version = 2")
    before = place.read_bytes()
    assert main(["cache", *words]) == ExitCode.TESTS_FAILED
    told = capsys.readouterr().err
    assert "it has format 2" in told
    assert "update pytest-llmbench" in told
    assert "llmbench cache clear" in told
    assert place.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("words", [["stats"], ["prune"], ["clear", "--yes"]])
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o400, 0o700), (0o600, 0o500)])
def test_what_is_read_only_is_told_and_cleared_by_its_owner(
    place: Path, words: list[str], file_mode: int, folder_mode: int
) -> None:
    """As a user for whom modes count; for root they do without the right to override them."""
    place.chmod(file_mode)
    place.parent.chmod(folder_mode)
    counts = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if counts and not shutil.which("setpriv"):
        pytest.skip("no setpriv: root may write anywhere")
    command = [*counts, sys.executable, "-m", "pytest_llmbench", "cache", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the file or its folder is read-only" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, place.exists()) == ((0, False) if "clear" in words else (1, True)), done.stderr


def test_what_was_asked_is_no_reply(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The semantic cache's lists of questions lie beside the replies, and are told apart from them."""
    with closing(CacheFile(place, ttl_s=1e6, max_bytes=2**30, longest_bytes=2**20)) as cache:
        cache.put([CacheEntry("f" * 64, b"x" * 999_936, QUESTIONS)])
    assert main(["cache", "stats"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "replies  4\nsize     5.4 MB\nindex    1.0 MB of questions, for the semantic cache\n" in told
    assert QUESTIONS not in told
    assert main(["cache", "prune"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 0 replies; 4 replies left, 5.4 MB\n"
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 4 replies\n"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{ttl: soon}", "cache.ttl"),
        ("{ttl: 0}", "cache.ttl"),
        ("{max_size: much}", "must be a size above 0"),
        ("{max_size: 0MiB}", "must be a size above 0"),
        ("{backend: memcached}", "cache.backend"),
        ("{url: 'redis://:secret@host'}", "url_env: REDIS_URL"),
        ("{key_env: CACHE_KEY}", "only what lies in Redis is signed"),
        ("{url_env: 'redis://host'}", "must be the name of an environment variable"),
    ],
)
def test_a_wrong_section_is_told_with_its_place(
    project: Path, capsys: pytest.CaptureFixture[str], section: str, said: str
) -> None:
    """File, line, key and what is allowed; a password is not repeated."""
    (project / "llmbench.yaml").write_text(f"# mine\ncache: {section}\n")
    assert main(["cache", "stats"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert said in told
    assert "llmbench.yaml:2" in told
    assert "secret" not in told


def test_a_cache_in_redis_without_an_address_says_what_to_set(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name that the configuration gives it."""
    monkeypatch.delenv("TEAM_CACHE", raising=False)
    (project / "llmbench.yaml").write_text("cache: {backend: redis, url_env: TEAM_CACHE}\n")
    assert main(["cache", "stats"]) == ExitCode.USAGE
    assert "$TEAM_CACHE is not set" in capsys.readouterr().err
