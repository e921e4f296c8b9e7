"""A server that dies under a request is started once more, and the request is asked once more; nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from engine_scripts import script
from served_sessions import KEY, session_in, stored
from server_sessions import PATIENCE_S, eventually, lives

from pytest_llmbench.benching import run_bench
from pytest_llmbench.errors import Category, ServerError, WireError
from pytest_llmbench.records import ModelFile
from pytest_llmbench.records.asked import UNPRICED
from pytest_llmbench.results.retries import asked_again
from pytest_llmbench.serving import LocalModel, local_model
from pytest_llmbench.session import Session

WHOLE = "".join(f"{number} " for number in range(40))
PARTIAL = "".join(f"{number} " for number in range(5))


@pytest.fixture
def session(tmp_path: Path, smollm2: ModelFile) -> Iterator[Session]:
    """A session whose engine dies where a prompt tells it to."""
    with session_in(tmp_path, engine="llama-server", llama_server=str(script(tmp_path, serves=True))) as session:
        yield session


@pytest.fixture
def model(session: Session) -> LocalModel:
    return local_model(session, "smollm2-135m:Q4_1")


def starts(model: LocalModel) -> int:
    return model.session.supervisor.status(model.spec).starts


def test_a_crash_in_the_middle_of_an_answer_costs_one_restart(model: LocalModel) -> None:
    """The second answer is the reply; what had come of the first is kept beside it, and is no reply."""
    reply = model.ask("please die once SIGSEGV")
    assert (reply.text, reply.attempts) == (WHOLE, 2)
    assert starts(model) == 2
    run = stored(model.session)
    assert [kept.text for kept in run.replies] == [WHOLE]
    assert [(a.number, a.category, a.partial_text, a.test_key) for a in run.failed_attempts] == [
        (1, Category.LOCAL_SERVER_CRASH, PARTIAL, KEY)
    ]
    assert "SIGSEGV" in run.failed_attempts[0].message
    assert run.failed_attempts[0].request_hash == run.replies[0].request_hash
    assert {run.failed_attempts[0].cost, run.replies[0].cost} == {UNPRICED}
    assert asked_again(run.replies, run.failed_attempts) == 1


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL"])
def test_a_second_crash_is_an_infra_error_that_tells_all(model: LocalModel, how: str) -> None:
    """Signal, log tail and what had come, in the error and in the store; two attempts and no more."""
    with pytest.raises(ServerError, match=how) as raised:
        model.ask(f"please die {how}")
    error = raised.value
    assert (error.category, error.exit_code) == (Category.LOCAL_SERVER_CRASH, -signal.Signals[how])
    assert error.partial_text == PARTIAL
    assert "listening on" in error.log_tail
    assert repr(PARTIAL) in str(error)
    assert starts(model) == 2
    run = stored(model.session)
    assert run.replies == []
    assert [attempt.number for attempt in run.failed_attempts] == [1, 2]
    assert asked_again(run.replies, run.failed_attempts) == 1


def test_an_illegal_instruction_under_a_request_names_the_engine(model: LocalModel) -> None:
    """A build for another processor dies at its first real work."""
    with pytest.raises(ServerError, match="SIGILL") as raised:
        model.ask("please die SIGILL")
    assert raised.value.category is Category.LOCAL_ENGINE_UNUSABLE
    assert "another processor" in raised.value.hint


def test_only_what_broke_is_asked_again(model: LocalModel) -> None:
    """Of many prompts one kills the server: those that were answered stay, those not yet asked are asked once."""
    prompts = ["one", "two", "please die once SIGSEGV", "three", "four", "five"]
    replies = model.ask_all(prompts, concurrency=1)
    assert [reply.text for reply in replies] == [WHOLE] * 6
    run = stored(model.session)
    assert len(run.replies) == 6
    assert len(run.failed_attempts) == 1
    assert starts(model) == 2


def test_all_that_were_in_flight_are_asked_again_by_one_restart(model: LocalModel) -> None:
    """Four at once, one of them kills the server under the others."""
    replies = model.ask_all(["one", "two", "three", "please die once SIGABRT"], concurrency=4)
    assert [reply.text for reply in replies] == [WHOLE] * 4
    run = stored(model.session)
    assert starts(model) == 2
    assert len(run.replies) == 4
    assert 1 <= len(run.failed_attempts) <= 4
    assert {attempt.number for attempt in run.failed_attempts} == {1}


def test_texts_that_are_not_to_be_kept_are_not_kept_of_a_broken_attempt_either(
    tmp_path: Path, smollm2: ModelFile
) -> None:
    """`keep_prompts=false` holds for partial text too."""
    engine = str(script(tmp_path, serves=True))
    with session_in(tmp_path, engine="llama-server", llama_server=engine, keep_prompts="false") as session:
        local_model(session, "smollm2-135m:Q4_1").ask("please die once SIGSEGV")
        assert [attempt.partial_text for attempt in stored(session).failed_attempts] == [""]


def test_a_repetition_whose_server_dies_is_repeated_and_says_so(session: Session, model: LocalModel) -> None:
    """The measurement is whole, warmed up anew, and names both servers."""
    first = model.server()
    measured = run_bench(
        session, model, "interactive", {"rounds": 2, "output_tokens": 40, "prompts": ["hello", "die once SIGSEGV"]}
    )
    assert len(measured.repetitions) == 4
    notes = "\n".join(measured.notes)
    assert "repetition 1 was repeated: its server died (local.server_crash)" in notes
    assert f"the server was started again (pid {first.pid} → {measured.server['pid']}) and warmed up" in notes
    kept = stored(session)
    assert kept.measurements[0].server["pid"] != first.pid
    assert [server["pid"] for server in kept.measurements[0].server["earlier"]] == [first.pid]
    assert [(a.test_key, a.partial_text) for a in kept.failed_attempts] == [(f"measurement:{measured.id}", PARTIAL)]
    assert asked_again(kept.replies, kept.failed_attempts) == 1


def test_a_server_that_dies_between_two_repetitions_is_told_too(session: Session, model: LocalModel) -> None:
    """Nothing was in flight, so nothing failed; yet the rest was measured on another process."""
    first = model.server()
    assert first.pid is not None
    asked: list[str] = []
    identity = type(model).endpoint_at

    class Killing(LocalModel):
        def endpoint_at(self, info):  # type: ignore[no-untyped-def]
            asked.append(info.pid)
            if len(asked) == 3:  # the warm-up and one repetition are over
                os.kill(first.pid, signal.SIGKILL)
                assert eventually(lambda: not lives(first.pid))
            return identity(self, info)

    measured = run_bench(
        session, Killing(session, model.spec), "interactive", {"rounds": 3, "output_tokens": 40, "prompts": ["hello"]}
    )
    assert len(measured.repetitions) == 3
    assert measured.server["earlier"][0]["pid"] == first.pid


def test_a_repetition_that_kills_every_server_ends_the_measurement(session: Session, model: LocalModel) -> None:
    """After the second time."""
    with pytest.raises(ServerError) as raised:
        run_bench(session, model, "interactive", {"rounds": 1, "output_tokens": 40, "prompts": ["die SIGSEGV"]})
    assert raised.value.category is Category.LOCAL_SERVER_CRASH
    assert starts(model) == 2


def test_a_failure_that_is_no_crash_is_not_asked_again(model: LocalModel) -> None:
    """The server lives: retrying is somebody else's decision."""
    model.deadlines = model._deadlines = type(model.deadlines)(20, 20, 20, 0.05)
    pid = model.server().pid
    with pytest.raises(WireError) as raised:
        model.ask("hello")
    assert raised.value.category is Category.TIMEOUT_TOTAL
    assert model.server().pid == pid
    assert stored(model.session).failed_attempts == []


def test_a_server_that_answers_health_but_no_request_is_killed(
    tmp_path: Path, model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It let us wait, it is looked at, it does nothing: its own category, and a new one at the next use."""
    monkeypatch.setattr("pytest_llmbench.servers.claims.HANG_S", 1.0)
    model._deadlines = type(model.deadlines)(20, 1.0, 20, 60)
    pid = model.server().pid
    (tmp_path / "hang").touch()
    with pytest.raises(ServerError, match="hung and was killed") as raised:
        model.ask("hello")
    assert raised.value.category is Category.LOCAL_SERVER_HANG
    assert "ttft-timeout" in raised.value.hint
    assert not lives(pid)
    assert starts(model) == 1
    (tmp_path / "hang").unlink()
    model._deadlines = type(model.deadlines)(20, 20, 20, 60)
    assert model.ask("hello").text == WHOLE
    assert starts(model) == 2


def test_kill_9_of_the_real_engine_while_it_streams(tmp_path: Path, smollm2: ModelFile) -> None:
    """One restart, one reply, the partial text kept."""
    with session_in(tmp_path) as session:
        model = local_model(session, "smollm2-135m:Q4_1")
        server = psutil.Process(model.server().pid)
        busy = server.cpu_times().user

        def strike() -> None:
            eventually(lambda: server.cpu_times().user > busy + 0.3)
            server.kill()

        killer = threading.Thread(target=strike)
        killer.start()
        reply = model.ask("Tell me a long story about a fox.", max_tokens=150, ignore_eos=True)
        killer.join(PATIENCE_S)
        run = stored(session)
        assert reply.usage.completion_tokens == 150
        assert [attempt.category for attempt in run.failed_attempts] == [Category.LOCAL_SERVER_CRASH]
        assert len(run.replies) == 1
        assert starts(model) == 2


def test_one_restart_serves_all_who_shared_the_server(tmp_path: Path, smollm2: ModelFile) -> None:
    """Four workers are in the middle of an answer when it is killed: each gets its answer, from one new server."""
    engine = str(script(tmp_path, serves=True, pause_s=0.1))
    options = {"engine": "llama-server", "llama_server": engine}
    with ExitStack() as stack:
        first = stack.enter_context(session_in(tmp_path, **options))
        others = [stack.enter_context(session_in(tmp_path, beside=first, **options)) for _ in range(3)]
        models = [local_model(session, "smollm2-135m:Q4_1") for session in (first, *others)]
        pids = {model.server().pid for model in models}
        assert len(pids) == 1
        server = psutil.Process(pids.pop())
        with ThreadPoolExecutor(4) as workers:
            asked = [workers.submit(model.ask, "hello") for model in models]
            assert eventually(lambda: len(established(server)) == 4)
            server.kill()
            replies = [each.result(PATIENCE_S) for each in asked]
        assert [reply.text for reply in replies] == [WHOLE] * 4
        assert starts(models[0]) == 2
        assert len({model.server().pid for model in models}) == 1
        run = stored(first)
        assert [attempt.number for attempt in run.failed_attempts] == [1] * 4
        assert len(run.replies) == 4


def established(server: psutil.Process) -> list[object]:
    return [each for each in server.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
