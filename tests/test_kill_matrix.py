"""A real pytest run is struck somewhere; nothing of it is left, nothing kept is lost, the next session finishes it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_scripts import script
from kill_runs import (
    ENGINE,
    ORPHAN_LIMIT_S,
    PHASES,
    SUITE,
    KillRun,
    assert_nothing_is_left,
    assert_the_next_session_finishes,
    strike,
)

from pytest_llmbench import clock

pytestmark = [pytest.mark.usefixtures("smollm2"), pytest.mark.skipif("sys.platform != 'linux'", reason="reads /proc")]

BYSTANDER = """
    import pathlib, time

    def test_it(llama_server):
        server = llama_server("smollm2-135m:Q4_1", context=512)
        pathlib.Path("serves").write_text(str(server.server().pid))
        while pathlib.Path("serves").exists() and not pathlib.Path("enough").exists():
            time.sleep(0.05)
        assert server.server().pid == int(pathlib.Path("serves").read_text())
        assert server.ask("still there?", max_tokens=3).text
"""
SERIAL: tuple[str, ...] = ()
PARALLEL = ("-n", "2", "--max-worker-restart=4")
INT, TERM, HUP, KILL, STOP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGSTOP
PARTS = ("pytest", "worker", "supervisor", "server")
GAPS: dict[str, tuple[float, ...]] = {"once": (), "twice": (0.05,), "twice slowly": (2.0,)}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who is struck, how, and when."""

    arguments: tuple[str, ...]
    part: str
    number: signal.Signals
    times: str
    phase: str
    delay_s: float

    def __str__(self) -> str:
        kind = "-n 2" if self.arguments else "serial"
        return f"{kind}, {self.part}, {self.number.name} {self.times}, {self.phase} + {self.delay_s:.2f} s"


@pytest.fixture
def run() -> Iterator[KillRun]:
    with in_a_folder() as run:
        yield run


@pytest.fixture(scope="module")
def bystander(models_folder: Path) -> Iterator[KillRun]:
    """Another session whose server is at work all the time; at the end it still is the same one."""
    with in_a_folder(BYSTANDER) as run:
        run.start(LLMBENCH_MODELS_DIR=str(models_folder))
        run.until((run.folder / "serves").exists)
        yield run
        (run.folder / "enough").touch()
        assert run.wait() == 0, run.output


def survives(run: KillRun, scenario: Scenario) -> float:
    """Play the scenario; how long after pytest's end the last process of the run lived."""
    run.start(*scenario.arguments, KILL_HOLD_S="0.4")
    run.await_phase(scenario.phase)
    clock.sleep(scenario.delay_s)
    strike(run, scenario.part, scenario.number, GAPS[scenario.times])
    run.wait()
    took_s = assert_nothing_is_left(run)
    assert_the_next_session_finishes(run)
    return took_s


SHORT = [
    Scenario(SERIAL, "pytest", KILL, "once", "measuring", 0.5),
    pytest.param(Scenario(SERIAL, "pytest", INT, "twice", "asking", 0.2), marks=pytest.mark.slow),
    pytest.param(Scenario(SERIAL, "supervisor", KILL, "once", "asking", 0.3), marks=pytest.mark.slow),
    Scenario(PARALLEL, "pytest", KILL, "once", "asking", 0.3),
    pytest.param(Scenario(PARALLEL, "worker", KILL, "once", "asking", 0.2), marks=pytest.mark.slow),
    pytest.param(Scenario(SERIAL, "server", KILL, "once", "measuring", 0.5), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("scenario", SHORT, ids=str)
def test_whoever_is_struck_nothing_is_left_and_the_run_can_be_finished(
    run: KillRun, bystander: KillRun, scenario: Scenario
) -> None:
    """The short form of the matrix; the long one strikes every part in every way at random moments."""
    survives(run, scenario)


def matrix(seed: int) -> list[Scenario]:
    """Every part × signal × number of times, each at a random moment; seeded."""
    chance = random.Random(seed)
    parts = [(SERIAL, part) for part in ("pytest", "supervisor", "server")]
    parts += [(PARALLEL, part) for part in PARTS]
    return [
        Scenario(arguments, part, number, times, chance.choice(PHASES), chance.uniform(0, 0.6))
        for arguments, part in parts
        for number in (KILL, TERM, HUP, INT)
        for times in GAPS
    ]


@contextmanager
def in_a_folder(suite: str = SUITE) -> Iterator[KillRun]:
    folder = Path(tempfile.mkdtemp(prefix="kr-"))
    run = KillRun(folder / "a", suite=suite)
    try:
        yield run
    finally:
        run.clean_up()
        shutil.rmtree(folder, ignore_errors=True)


def played(scenario: Scenario) -> tuple[Scenario, float | str]:
    """The scenario in a folder of its own: seconds to clean, or what went wrong."""
    with in_a_folder() as run:
        try:
            return scenario, survives(run, scenario)
        except AssertionError as error:
            return scenario, f"{error}"


Played = Callable[[Scenario], tuple[Scenario, float | str]]


def play_all(play: Played, scenarios: list[Scenario], capsys: pytest.CaptureFixture[str]) -> None:
    """Three at a time; prints the table as it grows, fails with what went wrong."""
    broken = []
    with ThreadPoolExecutor(3) as pool, capsys.disabled():
        print()
        for scenario, result in pool.map(play, scenarios):
            print(f"{result if isinstance(result, float) else -1:6.2f} s  {scenario}", flush=True)
            if isinstance(result, str):
                broken.append(f"{scenario}\n{result}")
            else:
                assert result < ORPHAN_LIMIT_S
    assert not broken, "\n\n".join(broken)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1])
def test_the_whole_matrix(bystander: KillRun, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    """84 strikes; prints how long after the end of pytest its last process lived."""
    play_all(played, matrix(seed), capsys)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_who_stands_still_for_ten_seconds_goes_on(bystander: KillRun, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGSTOP, SIGCONT: the run ends as if nothing had been, whichever of its processes stood still."""
    play_all(stood_still, STANDSTILLS, capsys)


STANDSTILLS = [
    Scenario(arguments, part, STOP, "for 10 s", phase, 0.2)
    for arguments, parts in ((SERIAL, ("pytest", "supervisor", "server")), (PARALLEL, PARTS))
    for part in parts
    for phase in ("asking", "measuring")
]


def stood_still(scenario: Scenario) -> tuple[Scenario, float | str]:
    with in_a_folder() as run:
        try:
            run.start(*scenario.arguments, KILL_HOLD_S="0.4")
            run.await_phase(scenario.phase)
            clock.sleep(scenario.delay_s)
            (stopped, *_) = run.await_part(scenario.part)
            os.kill(stopped.pid, STOP)
            clock.sleep(10)
            with suppress(ProcessLookupError):  # an idle server may be at its end by then
                os.kill(stopped.pid, signal.SIGCONT)
            assert run.wait() == 0, run.output
            return scenario, assert_nothing_is_left(run)
        except AssertionError as error:
            return scenario, f"{error}"


BY_THREAD = ("--timeout=4", "--timeout-method=thread")
BY_SIGNAL = ("--timeout=4", "--timeout-method=signal")
TROUBLES = [
    pytest.param("hang", (*SERIAL, *BY_THREAD), 1, marks=pytest.mark.slow),
    pytest.param("fail", (*PARALLEL, "-x"), 1, marks=pytest.mark.slow),
    ("exit", SERIAL, 2),
    pytest.param("hang", (*PARALLEL, *BY_THREAD), 11, marks=pytest.mark.slow),
    pytest.param("hang", (*SERIAL, *BY_SIGNAL), 1, marks=pytest.mark.slow),
    pytest.param("hang", (*PARALLEL, *BY_SIGNAL), 1, marks=pytest.mark.slow),
    pytest.param("fail", (*SERIAL, "-x"), 1, marks=pytest.mark.slow),
    pytest.param("fail", (*SERIAL, "--maxfail=1"), 1, marks=pytest.mark.slow),
    pytest.param("fail", (*PARALLEL, "--maxfail=1"), 1, marks=pytest.mark.slow),
    pytest.param("exit", PARALLEL, 2, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("how", "arguments", "code"), TROUBLES, ids=str)
def test_a_run_that_ends_itself_leaves_nothing(run: KillRun, how: str, arguments: tuple[str, ...], code: int) -> None:
    """pytest-timeout by signal and by thread (os._exit), `-x`, `--maxfail`, `pytest.exit` in a fixture."""
    run.start(*arguments, KILL_HOW=how)
    assert run.wait() == code, run.output
    assert_nothing_is_left(run)
    assert_the_next_session_finishes(run)


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait_for_a_server_that_will_not_end(run: KillRun) -> None:
    """The first lets the session end in order, for seconds; the second ends pytest now, the rest ends without it."""
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ENGINE
    script(run.folder / "bin", before=stubborn)
    run.start(KILL_HOLD_S="3")
    run.await_phase("teardown")
    assert run.popen is not None
    run.popen.send_signal(INT)
    run.until(lambda: "told to end" in run.log)
    run.popen.send_signal(INT)
    begun = clock.monotonic()
    run.wait()
    assert clock.monotonic() - begun < 4.5
    assert_nothing_is_left(run)
