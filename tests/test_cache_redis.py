"""Cached replies in a real Redis server: shared, mortal, and not trusted."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_suites import calls, court, judged_usecase
from redis_servers import PASSWORD, RedisServer, running
from served_sessions import session_in

from pytest_llmbench import redaction
from pytest_llmbench.cache import redis as redis_backend
from pytest_llmbench.cache import response_cache
from pytest_llmbench.cache.redis import PREFIX, RedisBackend
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import CacheError, MissingExtraError, UsageError
from pytest_llmbench.records import CacheEntry, Reply
from pytest_llmbench.secret import Secret
from pytest_llmbench.serving import open_model
from pytest_llmbench.session import Session


def key(name: str) -> str:
    """A key as keys look."""
    return hashlib.sha256(name.encode()).hexdigest()


def entry(name: str, value: bytes = b"whole") -> CacheEntry:
    """An entry under a name."""
    return CacheEntry(key(name), value, "demo/model")


@pytest.fixture(scope="module")
def server(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests that do it no harm."""
    with running(redis_program, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def cache(server: RedisServer) -> Iterator[RedisBackend]:
    """An empty cache in it."""
    server.client.flushall()
    backend = RedisBackend(server.url, ttl_s=3600)
    yield backend
    backend.close()


def test_what_is_put_is_found_until_it_is_removed(cache: RedisBackend) -> None:
    """Several at once; what is not there is left out; the last one put counts."""
    cache.put([entry("a"), entry("b", b"\x00\xff")])
    cache.put([entry("a", b"newer")])
    assert cache.get([key("a"), key("b"), key("c")]) == {key("a"): b"newer", key("b"): b"\x00\xff"}
    cache.remove([key("a"), key("c")])
    cache.remove([])
    assert cache.get([key("a")]) == {}
    assert cache.get([]) == {}


def test_the_server_forgets_what_is_expired(server: RedisServer, cache: RedisBackend) -> None:
    """Every entry has the age that was chosen as its time to live."""
    cache.put([entry("a")])
    assert 3_590_000 < server.client.pttl(f"{PREFIX}entry:{key('a')}") <= 3_600_000
    brief = RedisBackend(server.url, ttl_s=0.001)
    brief.put([entry("b")])
    deadline = 200
    while brief.get([key("b")]) and deadline:
        deadline -= 1
    assert brief.get([key("b")]) == {}
    brief.close()


def test_statistics_count_ours_and_nothing_else(server: RedisServer, cache: RedisBackend) -> None:
    """Entries, their bytes, hits and misses of all who share it; another program's keys are not looked at."""
    server.client.set("session:1", "another program's")
    cache.put([entry(str(number), b"x" * 100) for number in range(700)])
    cache.count(hits=2, misses=3)
    cache.count(hits=1, misses=0)
    found = cache.stats()
    assert (found.entries, found.hits, found.misses) == (700, 3, 3)
    assert found.size_bytes == 700 * (100 + len(f"{PREFIX}entry:") + 64)


def test_clearing_touches_only_what_is_ours(server: RedisServer, cache: RedisBackend) -> None:
    """Other keys of the server stay, even such as begin much like ours."""
    others = {b"session:1", b"llmbench:cache:10:entry:x", b"xllmbench:cache:1:entry:y"}
    for name in others:
        server.client.set(name, "another program's")
    cache.put([entry(str(number)) for number in range(1200)])
    cache.count(hits=1, misses=1)
    assert cache.prune() == 0
    assert cache.clear() == 1200
    assert set(server.client.keys("*")) == others
    assert (cache.stats().entries, cache.stats().hits) == (0, 0)


def test_a_key_of_another_kind_under_our_name_is_a_miss(server: RedisServer, cache: RedisBackend) -> None:
    """Nobody writes lists there but by mistake; putting replaces it."""
    server.client.rpush(f"{PREFIX}entry:{key('a')}", "x")
    cache.put([entry("b")])
    assert cache.get([key("a"), key("b")]) == {key("b"): b"whole"}
    assert cache.get([key("a")]) == {}
    assert cache.stats().entries == 1
    cache.put([entry("a")])
    assert cache.get([key("a")]) == {key("a"): b"whole"}


def test_no_more_is_read_than_a_reply_can_be(
    server: RedisServer, cache: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write into the server must not be able to fill our memory."""
    monkeypatch.setattr(redis_backend, "LONGEST_BYTES", 1000)
    cache.put([entry("a", b"x" * 1001), entry("b", b"x" * 1000)])
    assert list(cache.get([key("a"), key("b")])) == [key("b")]


def test_with_a_key_only_what_we_signed_is_there(server: RedisServer, cache: RedisBackend) -> None:
    """A row that was changed, copied to another key, written without a key or with another one is a miss."""
    signed = RedisBackend(server.url, key=Secret("our-own-secret-0815"))
    other = RedisBackend(server.url, key=Secret("their-own-secret-42"))
    signed.put([entry("a"), entry("b", b"other")])
    assert signed.get([key("a")]) == {key("a"): b"whole"}
    raw, client = f"{PREFIX}entry:", server.client
    value = client.get(raw + key("a"))
    assert isinstance(value, bytes)
    client.set(raw + key("copied"), value)
    client.set(raw + key("flipped"), value[:-1] + bytes([value[-1] ^ 1]))
    client.set(raw + key("short"), value[:20])
    cache.put([entry("plain")])
    other.put([entry("theirs")])
    names = ("a", "b", "copied", "flipped", "short", "plain", "theirs")
    assert set(signed.get([key(name) for name in names])) == {key("a"), key("b")}
    assert b"our-own-secret" not in b"".join(client.get(name) or b"" for name in client.keys("*"))


def test_a_wrong_password_is_told_without_any_password(redis_program: str, tmp_path: Path) -> None:
    """And the right one works; place and error hold neither."""
    with running(redis_program, tmp_path, password=PASSWORD) as server:
        right = RedisBackend(server.url)
        right.put([entry("a")])
        assert right.get([key("a")]) == {key("a"): b"whole"}
        for url in (server.url.replace(PASSWORD, "wrong-password-0001"), server.url.replace(f":{PASSWORD}@", "")):
            wrong = RedisBackend(url)
            with pytest.raises(CacheError, match="cannot be used") as told:
                wrong.get([key("a")])
            assert PASSWORD not in str(told.value)
            assert "wrong-password" not in str(told.value) + wrong.place
            wrong.close()
        right.close()
        assert right.place == f"redis://127.0.0.1:{server.port}/0"
        assert redaction.redact_exact(f"leak {PASSWORD}") == "leak [redacted]"


def test_a_full_server_refuses_and_still_answers(redis_program: str, tmp_path: Path) -> None:
    """What is too much by its own settings is its refusal; what lies there is found."""
    with running(redis_program, tmp_path, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as server:
        cache = RedisBackend(server.url)
        cache.put([entry("a")])
        large = [entry(str(number), b"x" * 100_000) for number in range(50)]
        for each in large[:30]:
            with contextlib.suppress(CacheError):
                cache.put([each])
        with pytest.raises(CacheError, match="maxmemory"):
            cache.put(large)
        assert cache.get([key("a")]) == {key("a"): b"whole"}
        cache.close()


def test_a_server_with_a_limit_forgets_what_was_used_longest_ago(redis_program: str, tmp_path: Path) -> None:
    """As the manual advises to set it up; every entry has a time to live, so ours may go."""
    options = "--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru"
    with running(redis_program, tmp_path, *options) as server:
        server.client.set("session:1", "another program's")
        cache = RedisBackend(server.url, ttl_s=3600)
        for number in range(100):
            cache.put([entry(str(number), b"x" * 100_000)])
        assert 0 < cache.stats().entries < 60
        assert cache.get([key("99")])
        assert server.client.get("session:1") == b"another program's"
        cache.close()


def test_a_killed_server_is_used_again_once_it_is_back(redis_program: str, tmp_path: Path) -> None:
    """Meanwhile every call says so at once; what was put before is still there."""
    with running(redis_program, tmp_path) as server:
        cache = RedisBackend(server.url)
        cache.put([entry("a")])
        server.kill()
        for _ in range(3):
            with pytest.raises(CacheError, match="cannot be used"):
                cache.get([key("a")])
        with pytest.raises(CacheError):
            cache.put([entry("b")])
        server.start()
        assert cache.get([key("a"), key("b")]) == {key("a"): b"whole"}
        cache.close()


def asked(session: Session, numbers: Iterable[int]) -> list[Reply]:
    """Questions by their numbers, all at once."""
    requests = [request_of("lab/m", [{"role": "user", "content": f"question {number}"}]) for number in numbers]
    return open_model(session, "lab/m", role="chat").answers(requests)


def test_a_run_survives_the_death_of_its_server_and_uses_it_again_once_it_is_back(
    redis_program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed (-9) while requests are under way: every answer comes whole and is paid once, the trouble is told once,
    and after the restart the same session puts and finds again."""
    monkeypatch.setattr(response_cache, "_REST_S", 0.05)
    monkeypatch.setattr(response_cache, "_LONGEST_REST_S", 0.05)
    with running(redis_program, tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)

        def answer(body: dict[str, Any]) -> Answer:
            text = body["messages"][-1]["content"]
            if text == "question 25":
                server.kill()
            return Answer(f"answer to {text}")

        with DemoProvider(answer) as provider:
            models = f"providers:\n  lab: {{url: '{provider.url}', models: {{m: {{}}}}}}\n"
            (tmp_path / "llmbench.yaml").write_text(f"{models}cache: {{backend: redis}}\n")
            with session_in(tmp_path, cache="on") as session:
                asked(session, range(20))
                replies = asked(session, range(20, 60))
                assert [reply.text for reply in replies] == [f"answer to question {n}" for n in range(20, 60)]
                server.start()
                time.sleep(0.2)
                asked(session, range(60, 80))
                [told] = [note for note in session.asker.notes if "cannot be used" in note]
                assert PASSWORD not in told
            assert len(provider.chats()) == 80
            with session_in(tmp_path, cache="on") as session:
                again = asked(session, [*range(20), *range(60, 80)])
            assert all(reply.is_cached for reply in again)
            assert len(provider.chats()) == 80


@pytest.mark.slow
def test_xdist_workers_share_it_and_its_password_is_written_nowhere(
    redis_program: str, pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run asks nobody; no byte of the password in any file of the project, the process's log included."""
    judged_usecase(pytester.path, 4)
    with running(redis_program, tmp_path, password=PASSWORD) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        with court(pytester.path, "cache: {backend: redis}\n") as lab:
            for asked_so_far in (8, 8):
                result = pytester.runpytest_subprocess("shout", "--llmbench-cache=on", "-n", "2", "-l", "-vv")
                assert result.ret == 0, result.stdout.str()
                assert sum(calls(lab).values()) == asked_so_far
                assert PASSWORD not in result.stdout.str() + result.stderr.str()
    files = [path for path in pytester.path.rglob("*") if path.is_file()]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


def test_a_silent_server_is_given_up_after_a_second(redis_program: str, tmp_path: Path) -> None:
    """One that hangs, and one that takes connections and never says a word."""
    with running(redis_program, tmp_path) as server:
        cache = RedisBackend(server.url)
        cache.put([entry("a")])
        server.stop(signal=signal.SIGSTOP)
        with pytest.raises(CacheError, match=r"(?i)time"):
            cache.get([key("a")])
        server.stop(signal=signal.SIGCONT)
        assert cache.get([key("a")]) == {key("a"): b"whole"}
        cache.close()


def test_another_kind_of_server_is_told(redis_program: str) -> None:
    """What is no Redis does not answer as one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cache = RedisBackend(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(CacheError, match="cannot be used"):
            cache.get([key("a")])
        cache.close()


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://localhost", "redis://", "redis://host:port", "redis://h:-1"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(url: str) -> None:
    """And told how one is written, without what was given: a password may stand in it."""
    with pytest.raises(UsageError, match="no URL that can be used") as told:
        RedisBackend(url)
    assert "redis://host:6379/0" in told.value.hint


def test_a_socket_on_this_machine_will_do(redis_program: str, tmp_path: Path) -> None:
    """`unix://` as redis-py writes it."""
    path = tmp_path / "redis.sock"
    with running(redis_program, tmp_path, "--unixsocket", str(path)):
        cache = RedisBackend(f"unix://{path}")
        cache.put([entry("a")])
        assert cache.get([key("a")]) == {key("a"): b"whole"}
        cache.close()


def test_processes_share_what_they_put(server: RedisServer, cache: RedisBackend) -> None:
    """Two that write at once leave one whole entry a key, and all are found."""
    code = (
        "import os, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_cache_redis import RedisBackend, entry\n"
        "cache = RedisBackend(os.environ['REDIS_URL'])\n"
        "for number in range(200):\n"
        "    cache.put([entry(str(number), sys.argv[2].encode() * 1000), entry(sys.argv[2] + str(number))])\n"
        "cache.count(hits=1, misses=0)\n"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent)]
    started = [subprocess.Popen([*arguments, name], env={"REDIS_URL": server.url}) for name in "ab"]
    assert [process.wait(60) for process in started] == [0, 0]
    shared = cache.get([key(str(number)) for number in range(200)])
    assert len(shared) == 200
    assert set(shared.values()) <= {b"a" * 1000, b"b" * 1000}
    assert (cache.stats().entries, cache.stats().hits) == (600, 2)


def test_without_the_extra_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[redis\]"):
        RedisBackend("redis://localhost:6379/0")


def test_an_address_without_a_password_is_no_secret() -> None:
    """Else pieces of a host or of a path would be taken out of every message that holds them."""
    url = "unix:///var/lib/a-folder-of-many/redis.sock"
    RedisBackend(url)
    assert redaction.redact(f"cannot write /var/lib/a-folder-of-many/else ({url})").count("redacted") == 0


def test_the_password_of_an_address_is_taken_out_of_every_text() -> None:
    url = "redis://:a-password-0815-of-redis@127.0.0.1:6379/0"
    RedisBackend(url)
    assert "0815" not in redaction.redact(f"cannot reach {url}")
