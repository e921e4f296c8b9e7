"""Our own client against a stream of known timing."""

from __future__ import annotations

import subprocess
import sys
import threading
from weakref import WeakKeyDictionary

import psutil
import pytest

from pytest_llmbench import calibration, clock
from pytest_llmbench.calibration import Calibration, calibrate, error_bars
from pytest_llmbench.http.connection import Connection


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that a calibration starts."""
    processes: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen[str]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr(calibration.subprocess, "Popen", Noted)
    return processes


def delayed(monkeypatch: pytest.MonkeyPatch, piece: int, by_s: float) -> None:
    """Our client looks at the clock late when the n-th piece of a response comes, as one that parses first would."""
    taken_in_time = Connection.data_received
    pieces: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    def data_received(connection: Connection, data: bytes) -> None:
        pieces[connection] = pieces.get(connection, 0) + 1
        if pieces[connection] == piece:
            clock.sleep(by_s)
        taken_in_time(connection, data)

    monkeypatch.setattr(Connection, "data_received", data_received)


def test_a_calibration_tells_all_its_figures() -> None:
    """Sizes in order, as many streams as were asked for, when and at what cost; it survives the store."""
    found = calibrate(requests=6)
    assert (found.n, found.reason) == (6, "")
    assert found.ttft_error_p50_s is not None
    assert 0 < found.ttft_error_p50_s <= (found.ttft_error_p95_s or 0) <= (found.ttft_error_max_s or 0)
    assert found.itl_error_p95_s is not None
    assert found.answer_error_p95_s is not None
    assert found.tpot_error_p95_share is not None
    assert found.at.endswith("+00:00")
    assert (found.cost_s or 0) > 6 * 0.019
    assert Calibration.from_dict(found.as_dict()) == found


def test_a_client_that_stamps_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 ms late for the headers, when the first token is 4 ms away: the rest is in its TTFT error."""
    delayed(monkeypatch, piece=1, by_s=0.03)
    assert (calibrate(requests=6).ttft_error_p50_s or 0) >= 0.02


def test_the_error_of_the_real_client_is_small_beside_that() -> None:
    """The median, on a machine that others use too."""
    assert (calibrate(requests=10).ttft_error_p50_s or 1) < 0.015


def test_a_gap_that_is_stamped_late_is_an_error_of_the_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stalls of the client within a stream: TTFT is right, gaps and the answer's length are not."""
    delayed(monkeypatch, piece=8, by_s=0.05)
    found = calibrate(requests=6)
    assert (found.itl_error_p95_s or 0) >= 0.03
    assert (found.answer_error_p95_s or 0) >= 0.02
    assert (found.ttft_error_p50_s or 1) < 0.025


def test_its_process_is_gone_afterwards(started: list[subprocess.Popen[str]]) -> None:
    """One process, ended and waited for, and no thread left behind."""
    calibrate(requests=1)
    (process,) = started
    assert process.returncode is not None
    assert not psutil.pid_exists(process.pid)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_kill_9_of_the_session_ends_the_stream_too() -> None:
    """Linux ends it with its parent, elsewhere it ends by itself a few seconds later."""
    script = "from pytest_llmbench import calibration as c; c._TTFT_S = 3600; c.calibrate()"
    with subprocess.Popen([sys.executable, "-c", script]) as session:
        children: list[psutil.Process] = []
        while not children and session.poll() is None:
            clock.sleep(0.01)
            children = psutil.Process(session.pid).children(recursive=True)
        session.kill()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert len(gone) == 1
    assert not alive


def test_a_stream_that_does_not_start_is_a_reason_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session goes on without error bars, and says so."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    found = calibrate()
    assert (found.n, found.ttft_error_p95_s) == (0, None)
    assert "/nonexistent/python" in found.reason
    assert error_bars(found) == f"client not calibrated: {found.reason}"


def test_a_program_that_ends_at_once_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its exit status."""
    monkeypatch.setattr(calibration.launch, "__file__", "/nonexistent/launch.py")
    assert "did not start (exit status 2)" in calibrate().reason


def test_a_stream_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[str]]) -> None:
    """The watchdog ends its process; the session was held up for that long and no longer."""
    monkeypatch.setattr(calibration, "_LIMIT_S", 0.5)
    monkeypatch.setattr(calibration, "_TTFT_S", 3600)
    found = calibrate()
    assert found.n == 0
    assert found.reason
    assert (found.cost_s or 0) < 10
    assert started[0].returncode is not None


def test_a_client_that_loses_tokens_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps that cannot be matched with the truth are no figures."""
    read = calibration._log
    monkeypatch.setattr(calibration, "_log", lambda url: [{**call, "sent": call["sent"][:-4]} for call in read(url)])
    assert "the client saw 16 tokens of 15" in calibrate(requests=1).reason


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Calibration(n=7, ttft_error_p95_s=0.00031, answer_error_p95_s=0.00012),
            "client error ±0.31 ms on TTFT, ±0.12 ms between first and last token (95 % of n = 7 streams)",
        ),
        (Calibration(reason="no loopback"), "client not calibrated: no loopback"),
        (Calibration.from_dict({}), "client not calibrated: it was not tried"),
    ],
)
def test_error_bars_in_words(found: Calibration, words: str) -> None:
    """With the number of streams; what is not known is not 0."""
    assert error_bars(found) == words
