"""Servers and the machine, lent to tests: shared, refused, taken away, alone; the same with and without xdist."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from engine_scripts import script
from kill_runs import KillRun, assert_nothing_is_left
from server_sessions import ServerSession, spec_of

from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import engines

pytestmark = pytest.mark.usefixtures("smollm2")

BOTH = pytest.mark.parametrize("workers", ["0", "2"])
ROOM_FOR_ONE = """
from pytest_llmbench.servers import engines

engines.need_bytes = lambda *_: 100 * 2**20
engines.free_bytes = lambda: 150 * 2**20
"""
SHARED = """
    import pytest, time

    @pytest.mark.models("smollm2-135m:Q4_1")
    @pytest.mark.parametrize("n", range(8))
    def test_it(model, n):
        time.sleep(0.2)
        with open("pids", "a") as file:
            print(model.server().pid, file=file)
"""
ALONE = """
    import os, pytest, time

    @pytest.mark.parametrize("n", range(3))
    def test_measures(bench, llama_server, n):
        server = llama_server("smollm2-135m:Q4_1", context=512).server()
        begun = time.monotonic()
        open("measuring", "w").close()
        time.sleep(0.5)
        with open(os.environ["TIMES"], "a") as file:
            print(begun, time.monotonic(), "measures", file=file)

    @pytest.mark.models("smollm2-135m:Q4_1")
    def test_asks(model):
        begun = time.monotonic()
        assert model.ask("Hi", max_tokens=3).text
        with open(os.environ["TIMES"], "a") as file:
            print(begun, time.monotonic(), "asks", file=file)
"""
TWO_MODELS = """
    import pytest

    MODEL = "smollm2-135m:Q4_1"

    @pytest.fixture(scope="session")
    def session_model(llama_server):
        return llama_server(MODEL, context=512)

    @pytest.mark.parametrize("n", range(3))
    def test_uses_the_sessions_model(session_model, n):
        assert session_model.ask("Hi", max_tokens=3).text

    @pytest.mark.exclusive
    @pytest.mark.parametrize("n", range(3))
    @pytest.mark.models(MODEL)
    def test_has_the_machine_to_itself(model, n):
        assert model.ask("Hi", max_tokens=3).text
"""
DECLARED = """
    import pytest

    @pytest.mark.models("smollm2-135m:Q4_1")
    @pytest.mark.parametrize("n", range(6))
    def test_it(model, n):
        assert model.ask("Hi", max_tokens=3).text
"""
OTHER_CONTEXT_IN_ONE_WORKER = """
if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
    os.environ["LLMBENCH_CONTEXT"] = "1024"
"""


@pytest.fixture
def runs() -> Iterator[Callable[..., KillRun]]:
    """Makes runs below one folder, so that they share a machine."""
    folder, made = Path(tempfile.mkdtemp(prefix="kr-")), []

    def make(suite: str, conftest: str = "") -> KillRun:
        made.append(KillRun(folder / str(len(made)), suite=suite, conftest=conftest))
        return made[-1]

    yield make
    for run in made:
        run.clean_up()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_four_workers_share_one_server(runs: Callable[..., KillRun]) -> None:
    """Whoever asks first, exactly one process is started, and one supervisor."""
    run = runs(SHARED)
    run.start("-n", "4")
    assert run.wait() == 0, run.output
    assert len(set((run.folder / "pids").read_text().split())) == 1
    assert run.log.count(" starts, ") == 1
    assert_nothing_is_left(run)


@pytest.mark.slow
@BOTH
def test_a_sessions_model_and_an_exclusive_tests_take_turns(runs: Callable[..., KillRun], workers: str) -> None:
    """There is memory for one: what is not claimed makes room, and is started again at its next use."""
    run = runs(TWO_MODELS, ROOM_FOR_ONE)
    run.start("-n", workers)
    assert run.wait() == 0, run.output
    stored = run.stored()
    assert stored is not None
    assert [result.outcome for result in stored.results] == ["right"] * 6
    assert run.log.count(" starts, ") >= 2


@pytest.mark.slow
def test_declared_models_that_do_not_fit_together_wait_for_each_other(runs: Callable[..., KillRun]) -> None:
    """Two workers whose servers differ, and memory for one: none is refused."""
    run = runs(DECLARED, ROOM_FOR_ONE + OTHER_CONTEXT_IN_ONE_WORKER)
    run.start("-n", "2")
    assert run.wait() == 0, run.output
    stored = run.stored()
    assert stored is not None
    assert [result.outcome for result in stored.results] == ["right"] * 6


@pytest.mark.slow
def test_two_sessions_never_measure_at_once_though_a_supervisor_dies(
    runs: Callable[..., KillRun], tmp_path: Path
) -> None:
    """Who measures has the machine alone, in the other session too; the process that measures holds it itself."""
    times = tmp_path / "times"
    first, second = runs(ALONE), runs(ALONE)
    machine = str(first.folder / "machine")
    first.start("-n", "2", TIMES=str(times), KILL_MACHINE=machine)
    second.start(TIMES=str(times), KILL_MACHINE=machine)
    first.await_phase("load")
    first.until((first.folder / "measuring").exists)
    for process in first.processes("supervisor"):
        os.kill(process.pid, signal.SIGKILL)
    codes = [run.wait() for run in (first, second)]
    spans = sorted(
        (float(begun), float(ended), what) for begun, ended, what in map(str.split, times.read_text().splitlines())
    )
    assert codes == [0, 0], first.output + second.output
    assert len(spans) == 8
    for (_, ended, what), (begun, _, after) in pairwise(spans):  # two that ask may do so at once
        assert ended <= begun or what == after == "asks"
    for run in (first, second):
        assert_nothing_is_left(run)


def test_model_and_judge_against_another_model_and_the_same_judge(smollm2: ModelFile, tmp_path: Path) -> None:
    """Two at once, memory for one pair: each gets both or waits, nobody holds one and waits for the other."""
    binary = str(script(tmp_path, serves=True))
    model, judge, other = (spec_of(smollm2, extra_args=("--alias", name)) for name in "mjo")
    capacity = int(2.5 * engines.need_bytes(judge, engines.LLAMA_SERVER))
    granted: list[int] = []
    with ServerSession(capacity) as session:

        def tests(mine: object) -> None:
            client = session.client(engine="llama-server", binary=binary)
            for _ in range(4):
                infos = client.claim([mine, judge], wait=True)  # type: ignore[list-item]
                granted.append(len({info.pid for info in infos}))
                client.release([mine, judge])  # type: ignore[list-item]

        workers = [threading.Thread(target=tests, args=(mine,)) for mine in (model, other)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert granted == [2] * 8
