"""How the asker's process begins and ends, and what remains when somebody dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from remote_askers import PATIENCE_S, Run, is_gone, question, run_in, soon, stand_still, two_askers

from pytest_llmbench import clock
from pytest_llmbench.asker import meeting, reaching
from pytest_llmbench.asker.remote import RemoteAsker, Watch
from pytest_llmbench.errors import Category, InfraError, ServerError


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run of this test alone, whose answers are made up."""
    with run_in(tmp_path) as made:
        made.begin("t")
        yield made


@pytest.fixture
def workers(run: Run) -> Iterator[tuple[RemoteAsker, RemoteAsker]]:
    """Two workers of it."""
    with two_askers(run) as made:
        yield made


WORKER = """
import sys
from pathlib import Path
from remote_askers import Run, question
run = Run(Path(sys.argv[1]), Path(sys.argv[1]) / "scratch", int(sys.argv[2]))
asker = run.asker()
asker.plan([question(text) for text in sys.argv[3:]], window=1)
print("ready", flush=True)
asker.get(question(sys.argv[3]))
"""


def started(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A process that runs `code`, once it said that it is ready."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_what_a_killed_worker_wanted_is_dropped(run: Run) -> None:
    """What was under way for it goes on; the others go on, too."""
    other = run.asker()
    other.get(question("first"))
    with started(WORKER, run.root, os.getpid(), "slow a", "b", "c") as worker:
        assert soon(lambda: "slow a" in run.asked())
        worker.kill()
    assert soon(lambda: other.status().models[0].waiting == 0)
    assert other.get(question("d")).text == "D"
    assert "c" not in run.asked()
    other.close()


def test_a_killed_process_is_started_once_more(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """What was planned and not fetched is planned again; who waits gets the reply; a third one is never started."""
    planned = [question("a"), question("slow b"), question("c")]
    for worker in workers:
        worker.plan(planned)
        worker.get(planned[0])
    first = run.address()["pid"]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(worker.get, planned[1]) for worker in workers]
        os.kill(first, signal.SIGKILL)
        assert [each.result(PATIENCE_S).text for each in waiting] == ["SLOW B", "SLOW B"]
    second = run.address()["pid"]
    assert second != first
    assert run.asked().count("a") == 1
    assert soon(lambda: "c" in run.asked())
    os.kill(second, signal.SIGKILL)
    for worker in workers:
        with pytest.raises(ServerError, match="died") as raised:
            worker.get(question("later"))
        assert raised.value.category is Category.LOCAL_ASKER


def test_a_question_that_kills_the_process_is_an_infra_error(run: Run) -> None:
    """Not an endless row of new processes."""
    worker = run.asker()
    with pytest.raises(ServerError) as raised:
        worker.get(question("die"))
    assert raised.value.category is Category.LOCAL_ASKER
    assert run.asked() == ["die", "die"]
    worker.close()


def test_a_process_that_stands_still_is_ended_and_replaced(
    run: Run, workers: tuple[RemoteAsker, RemoteAsker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers no ping for a while; who waits is served by the next one."""
    monkeypatch.setattr("pytest_llmbench.asker.client_line.SILENT_S", 1.5)
    workers[0].get(question("a"))
    stopped = run.process()
    stand_still(run)
    assert workers[0].get(question("b")).text == "B"
    assert is_gone(stopped)


def test_a_stream_from_a_process_that_stands_still_is_an_infra_error(
    run: Run, workers: tuple[RemoteAsker, RemoteAsker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text cannot begin anew with another process; nobody waits for it for ever."""
    monkeypatch.setattr("pytest_llmbench.asker.client_line.SILENT_S", 1.5)
    streamed = workers[0].stream(question("stuck text"))
    assert soon(lambda: run.asked() == ["stuck text"])
    stopped = run.process()
    stand_still(run)
    with pytest.raises(ServerError, match="died"):
        list(streamed)
    assert is_gone(stopped)


CONTROLLER = """
import subprocess, sys, time, os
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], str(os.getpid()), *sys.argv[3:]])
worker.wait()
time.sleep(600)
"""


def test_nothing_is_left_when_the_controller_is_killed(run: Run) -> None:
    """With a worker that hangs on, and a request under way."""
    with started(CONTROLLER, WORKER, run.root, "stuck a") as controller:
        assert soon(lambda: run.asked() == ["stuck a"])
        process = run.process()
        controller.kill()
    assert is_gone(process)
    assert soon(lambda: not run.address())


def test_the_end_of_the_session_ends_the_process(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """What is complete is stored; what waits is dropped; nobody starts it again, and nothing is left in the folder."""
    workers[0].plan([question("stuck a")])
    workers[0].get(question("b"))
    process = run.process()
    began = clock.monotonic()
    reaching.end(run.folder)
    assert clock.monotonic() - began < reaching.STOP_S
    assert is_gone(process)
    with pytest.raises(InfraError) as raised:
        workers[0].get(question("c"))
    assert raised.value.category is Category.CANCELLED
    meeting.remove_traces(run.folder)
    assert not run.folder.exists()


def test_a_closed_asker_says_so(run: Run) -> None:
    """Instead of starting another process."""
    worker = run.asker()
    worker.close()
    with pytest.raises(InfraError, match="asks no more"):
        worker.get(question("a"))
    assert not run.folder.exists()


def test_a_process_that_cannot_start_is_an_infra_error(run: Run) -> None:
    """Which names the log; planning does not raise, since no test waits for it."""
    worker = run.asker((sys.executable, "-c", "raise SystemExit('no such thing')"))
    worker.plan([question("a")])
    with pytest.raises(ServerError, match=r"did not start; see .*asker\.log"):
        worker.get(question("a"))
    worker.close()


def test_a_folder_that_others_can_write_to_is_refused(run: Run) -> None:
    """Somebody else could have put an address there."""
    run.folder.mkdir()
    run.folder.chmod(0o777)
    with pytest.raises(ServerError, match="only this user can write to"):
        run.asker().get(question("a"))


def test_the_controller_looks_on_without_starting_anything(run: Run, workers: tuple[RemoteAsker, RemoteAsker]) -> None:
    """For the progress display."""
    watch = Watch(run.folder)
    assert watch.status() is None
    workers[0].get(question("a"))
    status = watch.status()
    assert status is not None
    assert status.models[0].done == 1
    reaching.end(run.folder)
    assert watch.status() is None
    watch.close()
