"""What was acknowledged is there, once, whoever was killed: histories of random kills, held against the database."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from store_nursery import Nursery

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import Run
from pytest_llmbench.store import Store
from pytest_llmbench.store.check import check

WRITERS = 4
WARMUPS = 1
"""Requests that a measurement sends first and throws away."""


def _torment(nursery: Nursery, logs: Path, seconds: float, seed: int) -> list[str]:
    """Kill writers at random, one or all at once, each followed by the next life; returns the names of all lives.

    Every second time the victim gets to write first, however busy the machine is; else it may die while it opens, or
    creates, the database.
    """
    chance = random.Random(seed)
    living = [f"w{n}-0" for n in range(WRITERS)]
    lives = list(living)
    for name in living:
        nursery.start(name)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        victims = list(living) if chance.random() < 0.2 else [chance.choice(living)]
        if chance.random() < 0.5:
            _wait_for_a_write(logs / f"{victims[0]}.log")
        time.sleep(chance.uniform(0, 0.2))
        for name in victims:
            nursery.kill(name)
            writer, _, life = name.partition("-")
            living.remove(name)
            living.append(f"{writer}-{int(life) + 1}")
            lives.append(living[-1])
            nursery.start(living[-1])
    for name in living:
        nursery.kill(name)
    return lives


def _wait_for_a_write(log: Path) -> None:
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size):
        assert time.monotonic() < deadline, f"{log.name}: nothing was acknowledged in a minute"
        time.sleep(0.005)


def _kept(run: Run) -> dict[str, Counter[int]]:
    """Life → number of each write → how many times it is in the database."""
    found: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for reply in run.replies:
        life, _, n = reply.request_hash.rpartition("-")
        if int(n) % 4 == 0:
            found[life][int(n)] += 1
    for measurement in run.measurements:
        found[measurement.id].update(repetition.index for repetition in measurement.repetitions)
    for result in run.results:
        life, _, n = result.key.rpartition("-")
        found[life][int(n)] += 1
    for attempt in run.failed_attempts:
        found[attempt.test_key][attempt.number] += 1
    return found


def _check_history(database: Path, logs: Path, lives: list[str]) -> tuple[int, int]:
    """Returns how many writes were acknowledged, and how many were committed and not yet acknowledged."""
    with Store.open(database) as store:
        run = store.load_run("run-1")
    kept = _kept(run)
    acknowledged = in_flight = 0
    for life in lives:
        log = logs / f"{life}.log"
        told = [int(line) for line in log.read_text().split()] if log.exists() else []
        assert told == list(range(len(told)))
        assert set(kept[life].values()) <= {1}, f"{life}: a write is there twice"
        assert set(kept[life]) in ({*told}, {*told, len(told)}), f"{life}: more or less than was acknowledged"
        acknowledged += len(told)
        in_flight += len(kept[life]) - len(told)
    replies = {reply.id: reply.request_hash for reply in run.replies}
    for measurement in run.measurements:
        for repetition in measurement.repetitions:
            assert replies.pop(repetition.reply_id) == f"{measurement.id}-{repetition.index}"
    assert all(int(left.rpartition("-")[2]) % 4 == 0 for left in replies.values()), "a reply without its repetition"
    assert set(kept) <= set(lives)
    return acknowledged, in_flight


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_the_database_holds_what_was_acknowledged_under_random_kills(tmp_path: Path, seconds: int) -> None:
    """Four writers, killed at random and started again: each acknowledged write once, at most one more for each life,
    a repetition never without its reply nor the reply without it, and a sound file."""
    database = tmp_path / "results.db"
    seed = random.randrange(2**32)
    with Nursery(database, tmp_path) as nursery:
        lives = _torment(nursery, tmp_path, seconds, seed)

    acknowledged, in_flight = _check_history(database, tmp_path, lives)
    print(f"seed {seed}: {len(lives)} lives, {acknowledged} writes acknowledged, {in_flight} in flight at a kill")
    assert acknowledged > 0
    assert len(lives) > WRITERS
    assert check(database).problems == ()


SUITE = """
    import pytest

    @pytest.mark.models("lab/any-model")
    @pytest.mark.parametrize("n", range(12))
    def test_sample(model, n):
        assert f"sample {n}." in model.ask(f"sample {n}.").text

    @pytest.mark.models("lab/any-model")
    def test_bench(model, bench):
        assert bench(model, rounds=3, prompts=["One.", "Two."], output_tokens=3).ttft_s.n == 6
"""


def _interrupted_session(folder: Path, arguments: list[str], chance: random.Random, *, kill: bool) -> int:
    """Run pytest, kill it or one of its workers after a random while; returns its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as session:
        if kill:
            with contextlib.suppress(subprocess.TimeoutExpired, psutil.NoSuchProcess):
                session.wait(chance.uniform(1, 4))
            with contextlib.suppress(psutil.NoSuchProcess):
                controller = psutil.Process(session.pid)
                chance.choice([controller, *controller.children()]).kill()
        return session.wait(400)  # it may wait for the machine, which another session measures on


def _stored(folder: Path) -> Run | None:
    path = folder / ".llmbench" / "results.db"
    if not path.exists():
        return None
    with Store.open(path) as store:
        return store.load_run("last") if store.runs() else None


def _question(request: Mapping[str, Any]) -> str:
    return str(request["messages"][0]["content"])


@pytest.mark.timeout(1800)
@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, 12])
def test_every_sample_is_there_once_after_kills_and_resumes(pytester: pytest.Pytester, kills: int) -> None:
    """pytest and its workers are killed at random and the run is resumed until it is done: every sample has one result
    and one reply, every repetition is there once, and no question was asked again once its reply was committed."""
    pytester.makepyfile(SUITE)
    chance = random.Random()
    asked_again: list[str] = []
    needless = 0
    with DemoProvider(lambda body: Answer(_question(body), ttft_s=0.15, itl_s=0.01)) as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}'}}\n")
        code = None
        while code != 0:
            run = _stored(pytester.path)
            committed = [_question(reply.request) for reply in run.replies] if run else []
            before = len(provider.chats())
            code = _interrupted_session(
                pytester.path, ["--llmbench-resume", "last"] if run else [], chance, kill=kills > 0
            )
            kills -= 1
            asked = [_question(call.body) for call in provider.chats()[before:]]
            asked_again += [question for question in asked if question in committed]
            timed = sum("sample" not in question for question in asked)  # each with a prefix of its own
            needless += max(0, timed - WARMUPS - (6 - sum("sample" not in question for question in committed)))
            assert kills > -3, "two sessions in a row that nobody disturbed did not come to an end"
    run = _stored(pytester.path)
    assert run is not None
    assert (asked_again, needless) == ([], 0)
    assert Counter(result.outcome for result in run.results) == {"right": 13}
    assert len({result.key for result in run.results}) == 13
    samples = Counter(_question(reply.request) for reply in run.replies if "sample" in _question(reply.request))
    assert samples == {f"sample {n}.": 1 for n in range(12)}
    measured = run.current().measurements
    assert [repetition.index for repetition in measured[0].repetitions] == list(range(6))
    assert len({repetition.reply_id for repetition in measured[0].repetitions}) == 6
    assert (len(run.measurements), len(measured)) == (1, 1)
    assert len(run.replies) == 12 + 6
