"""`llmbench cache` on a Redis server: replies are told from what was asked, and who tidies up what is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis_servers import RedisServer, running

from pytest_llmbench.cache.entries import encoded
from pytest_llmbench.cache.redis import PREFIX, RedisBackend
from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import QUESTIONS, CacheEntry, Cost, Reply
from pytest_llmbench.records.cached import QUESTIONS_KEY
from pytest_llmbench.secret import Secret

NOW = datetime.now(UTC)
WEEK_S = 7 * 86400


@pytest.fixture(scope="module")
def server(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests, without a limit of its own."""
    with running(redis_program, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def project(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose cache lies there, and we stand in it."""
    server.client.flushall()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", server.url)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "llmbench.yaml").write_text("cache: {backend: redis, ttl: 1d}\n")
    return tmp_path


def reply(name: str, *, days_ago: float = 0) -> CacheEntry:
    """A reply of then."""
    key = hashlib.sha256(name.encode()).hexdigest()
    value = encoded(key, Reply(name, "lab/m", finish_reason="stop", cost=Cost("0")), NOW - timedelta(days=days_ago))
    assert value is not None
    return CacheEntry(key, value, "lab/m")


def asked() -> CacheEntry:
    """What was asked, as the semantic cache puts it."""
    return CacheEntry(QUESTIONS_KEY + "0" * 64, b"x" * 1_000_000, QUESTIONS)


def put(server: RedisServer, *entries: CacheEntry, key: Secret | None = None) -> None:
    backend = RedisBackend(server.url, ttl_s=WEEK_S, key=key or Secret(""))
    backend.put(entries)
    backend.close()


def test_what_was_asked_is_no_reply(server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    """In its own line, as in a file; clearing takes it along and counts the replies."""
    put(server, reply("a"), reply("b"), asked())
    assert main(["cache", "stats"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "replies  2\nsize     1.0 MB\nindex    1.0 MB of questions, for the semantic cache\n" in told
    assert main(["cache", "clear", "--yes"]) == ExitCode.OK
    assert capsys.readouterr().out == "removed 2 replies\n"
    assert server.client.keys("*") == []


@pytest.mark.parametrize("secret", ["", "our-own-secret-0815"])
def test_pruning_goes_by_the_time_to_live_of_now(
    server: RedisServer, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """What was put for a week and may be a day old: the server would keep it for six days more."""
    if secret:
        monkeypatch.setenv("CACHE_KEY", secret)
        (project / "llmbench.yaml").write_text("cache: {backend: redis, ttl: 1d, key_env: CACHE_KEY}\n")
    put(server, reply("old", days_ago=2), reply("young", days_ago=0.5), asked(), key=Secret(secret))
    server.client.set(f"{PREFIX}entry:{'e' * 64}", "no entry of ours")
    server.client.rpush(f"{PREFIX}entry:{'f' * 64}", "nor a text")
    assert main(["cache", "prune"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("removed 1 reply; 2 replies left, 1.0 MB\n")
    left = server.client.keys("*")
    assert len(left) == 4
    assert f"{PREFIX}entry:{reply('old').key}".encode() not in left


def test_what_the_server_does_by_itself_is_told(server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Age is its matter, and so is size: with which limit, if it has one, and what becomes of what is too much."""
    for limit, policy, said in (
        ("0", "noeviction", "it has no limit of size (`maxmemory` is 0)"),
        ("50mb", "noeviction", "refuses new ones above its own limit of 52.4 MB (`maxmemory`, noeviction)"),
        ("50mb", "volatile-lru", "pushes out others above its own limit of 52.4 MB (`maxmemory`, volatile-lru)"),
    ):
        server.client.config_set("maxmemory", limit)
        server.client.config_set("maxmemory-policy", policy)
        assert main(["cache", "prune"]) == ExitCode.OK
        told = capsys.readouterr().out
        assert "removed 0 replies; 0 replies left" in told
        assert "the server forgets each entry by itself once its time to live is over" in told
        assert said in told
    server.client.config_set("maxmemory", "0")


def test_a_server_that_does_not_say_its_limit_is_pruned_all_the_same(
    redis_program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hosted one may forbid that question."""
    with running(redis_program, tmp_path) as closed:
        put(closed, reply("old", days_ago=2))
        closed.client.execute_command("ACL", "SETUSER", "default", "-info")
        monkeypatch.setenv("REDIS_URL", closed.url)
        assert main(["cache", "prune"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert told.startswith("removed 1 reply; 0 replies left")
    assert "how much it holds is a setting of its own" in told
