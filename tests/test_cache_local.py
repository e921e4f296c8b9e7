"""The response cache for models of this machine: by file, engine and server; a hit starts no server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from served_sessions import session_in, stored

from pytest_llmbench.benching import run_bench
from pytest_llmbench.records import ModelFile, Reply, Timing
from pytest_llmbench.serving import LocalModel, local_model
from pytest_llmbench.session import Session
from pytest_llmbench.store.cache_file import CacheFile

NAME = "smollm2-135m:Q4_1"


def model(session: Session, **settings: Any) -> LocalModel:
    found = local_model(session, NAME, **settings)
    assert isinstance(found, LocalModel)
    return found


def trials(session: Session, **settings: Any) -> list[Reply]:
    """Three warm answers to the same."""
    return model(session, **settings).ask_all(["Tell me a story."] * 3, max_tokens=8, temperature=1.5)


def started(session: Session) -> bool:
    """Whether the process that starts servers was ever needed."""
    return session.meeting_place.exists()


def test_a_hit_starts_no_server_and_what_differs_is_asked(tmp_path: Path, smollm2: ModelFile) -> None:
    """Trial by trial the same; another setting of the server, another prompt, another role are asked anew."""
    assert smollm2.sha256
    with session_in(tmp_path, cache="on") as session:
        first = trials(session)
        assert started(session)
        assert not any(reply.is_cached for reply in first)
    assert len({reply.text for reply in first}) == 3
    with session_in(tmp_path, cache="on") as session:
        again = trials(session)
        assert not started(session)
        assert sorted(reply.text for reply in again) == sorted(reply.text for reply in first)
        assert [(reply.is_cached, reply.attempts, reply.timing) for reply in again] == [(True, 0, Timing())] * 3
        kept = stored(session).replies
        assert [reply.text for reply in kept] == [reply.text for reply in again]
        assert kept[0].request["messages"][0]["content"] == "Tell me a story."
        assert kept[0].request_hash == first[0].request_hash
        assert not any(reply.is_cached for reply in trials(session, context=1024))
        assert started(session)


@pytest.mark.slow
def test_measuring_a_local_model_neither_uses_nor_fills_it(tmp_path: Path, smollm2: ModelFile) -> None:
    """The same measurement twice: its replies have their times, and the cache stays empty."""
    assert smollm2.sha256
    for _ in range(2):
        with session_in(tmp_path, cache="on") as session:
            choices = {"rounds": 1, "output_tokens": 8, "prompts": ["hello"]}
            run_bench(session, model(session), "interactive", choices)
            assert session.cache is not None
            replies = stored(session).replies
            assert replies
            assert all(reply.timing.e2e_s and not reply.is_cached for reply in replies)
    place = tmp_path / ".llmbench" / "cache" / "cache.db"
    with closing(CacheFile(place, ttl_s=1e6, max_bytes=2**30, longest_bytes=2**24)) as cache:
        assert (cache.stats().entries, cache.stats().hits, cache.stats().misses) == (0, 0, 0)
