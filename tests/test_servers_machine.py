"""The machine lock: alone or shared, fair, and free as soon as its holder is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from server_sessions import PATIENCE_S, eventually, interrupted

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.servers.machine import MachineLock

HOLDER = """
import sys
from pathlib import Path
from pytest_llmbench.servers.machine import MachineLock
lock = MachineLock(Path(sys.argv[1]))
lock.acquire(exclusive=sys.argv[2] == "exclusive", timeout_s=60)
print("has it", flush=True)
sys.stdin.readline()
lock.release()
print("let go", flush=True)
sys.stdin.readline()
"""


class Holder:
    """Another process that wants the machine."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def let_go(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        assert self.line() == "let go"

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[str], Holder]]:
    started: list[Holder] = []

    def start(mode: str) -> Holder:
        started.append(Holder(tmp_path / "machine", mode))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[MachineLock]:
    lock = MachineLock(tmp_path / "machine")
    yield lock
    lock.release()


def test_many_share_the_machine(lock: MachineLock, holder: Callable[[str], Holder]) -> None:
    """Local work that does not measure goes on side by side."""
    assert holder("shared").line() == "has it"
    lock.acquire(exclusive=False, timeout_s=PATIENCE_S)
    assert lock.held == "shared"


def test_who_measures_has_the_machine_alone(lock: MachineLock, holder: Callable[[str], Holder]) -> None:
    """Neither shared nor exclusive beside it; the error says who has it."""
    other = holder("exclusive")
    assert other.line() == "has it"
    for exclusive in (True, False):
        with pytest.raises(InfraError, match=rf"process {other.popen.pid} .* exclusive") as raised:
            lock.acquire(exclusive=exclusive, timeout_s=0.1)
        assert raised.value.category is Category.LOCAL_REFUSED
        assert lock.held is None
    other.let_go()
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert lock.held == "exclusive"


def test_the_kernel_frees_it_with_its_holder(lock: MachineLock, holder: Callable[[str], Holder]) -> None:
    """kill -9 of one who measures leaves no lock behind."""
    other = holder("exclusive")
    assert other.line() == "has it"
    other.kill()
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert str(other.popen.pid) not in lock.holders()


def test_a_waiting_measurement_keeps_newcomers_out(tmp_path: Path, holder: Callable[[str], Holder]) -> None:
    """Else a stream of shared work would starve it."""
    inside = holder("shared")
    assert inside.line() == "has it"
    waits, got = threading.Event(), threading.Event()

    def measure() -> None:
        lock = MachineLock(tmp_path / "machine")
        lock.acquire(exclusive=True, timeout_s=PATIENCE_S, on_wait=lambda _: waits.set())
        got.set()
        lock.release()

    measuring = threading.Thread(target=measure)
    measuring.start()
    assert waits.wait(PATIENCE_S)
    newcomer = MachineLock(tmp_path / "machine")
    with pytest.raises(InfraError):
        newcomer.acquire(exclusive=False, timeout_s=0.2)
    assert not got.is_set()
    inside.let_go()
    assert got.wait(PATIENCE_S)
    measuring.join()
    newcomer.acquire(exclusive=False, timeout_s=PATIENCE_S)
    newcomer.release()


def test_who_waits_is_told_once_whom_for(lock: MachineLock, holder: Callable[[str], Holder]) -> None:
    """A silent wait looks like a hang."""
    other = holder("shared")
    assert other.line() == "has it"
    told: list[str] = []
    with pytest.raises(InfraError):
        lock.acquire(exclusive=True, timeout_s=1.5, on_wait=told.append)
    assert len(told) == 1
    assert f"process {other.popen.pid}" in told[0]


def test_nobody_is_told_where_nobody_waits(lock: MachineLock) -> None:
    """The common case is silent."""
    told: list[str] = []
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S, on_wait=told.append)
    assert told == []


def test_ctrl_c_ends_the_wait_and_leaves_the_gate_open(lock: MachineLock, holder: Callable[[str], Holder]) -> None:
    """An interrupted waiter is not in the way of others."""
    assert holder("shared").line() == "has it"
    with pytest.raises(KeyboardInterrupt), interrupted(0.3):
        lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert lock.held is None
    assert holder("shared").line() == "has it"


def test_changing_from_shared_to_exclusive_lets_go_first(lock: MachineLock) -> None:
    """Two who both waited for the other to leave would wait for ever."""
    lock.acquire(exclusive=False, timeout_s=PATIENCE_S)
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert lock.held == "exclusive"
    lock.release()
    assert lock.held is None
    lock.release()


def test_locks_are_for_all_users_of_the_machine(lock: MachineLock, tmp_path: Path) -> None:
    """Their folder lets everybody in and nobody remove another's files."""
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert (tmp_path / "machine").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "machine" / "machine.lock").stat().st_mode & 0o777 == 0o666


def test_sessions_with_different_temporary_folders_share_one_lock(tmp_path: Path) -> None:
    """There is one machine, whatever TMPDIR says."""
    tell = "from pytest_llmbench.servers.machine import MachineLock; print(MachineLock().folder)"
    folders = {
        subprocess.run(
            [sys.executable, "-c", tell], env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, check=True
        ).stdout
        for folder in (tmp_path, Path(__file__).parent)
    }
    assert len(folders) == 1


@pytest.mark.parametrize("step", ["chmod", "rename"])
def test_a_kill_while_the_folder_is_made_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It comes into being with its rights, or not at all."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, _struck)
        with pytest.raises(KeyboardInterrupt):
            MachineLock(tmp_path / "machine").acquire(exclusive=True, timeout_s=1)
    assert not (tmp_path / "machine").exists()
    lock = MachineLock(tmp_path / "machine")
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    assert (tmp_path / "machine").stat().st_mode & 0o7777 == 0o1777
    lock.release()


def test_a_kill_while_a_lock_file_is_made_locks_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only its creator may open would be the end of exclusion for all others."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", _struck)
        with pytest.raises(KeyboardInterrupt):
            MachineLock(tmp_path / "machine").acquire(exclusive=True, timeout_s=1)
    assert not (tmp_path / "machine" / "gate.lock").exists()


def test_many_who_come_first_at_once_make_one_folder(tmp_path: Path) -> None:
    """None of them locks a file that another's has replaced."""
    inside, most, barrier = [], [], threading.Barrier(6)

    def measure() -> None:
        lock = MachineLock(tmp_path / "machine")
        barrier.wait()
        lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
        inside.append(1)
        most.append(len(inside))
        clock.sleep(0.02)
        inside.pop()
        lock.release()

    threads = [threading.Thread(target=measure) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6
    assert sorted(path.name for path in (tmp_path / "machine").iterdir()) == ["gate.lock", "machine.lock"]


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(
    tmp_path: Path, lock: MachineLock, holder: Callable[[str], Holder]
) -> None:
    """Cleaners of temporary folders remove old files: who waited for one goes on to the one in its place."""
    old = holder("exclusive")
    assert old.line() == "has it"
    waiter = holder("exclusive")
    clock.sleep(1.0)
    (tmp_path / "machine" / "machine.lock").rename(tmp_path / "removed")
    (tmp_path / "machine" / "gate.lock").unlink()
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    old.let_go()
    assert _readable([waiter], []) == []
    clock.sleep(0.5)
    assert _readable([waiter], []) == []
    lock.release()
    assert waiter.line() == "has it"


def test_what_killed_holders_left_is_swept(tmp_path: Path, holder: Callable[[str], Holder], lock: MachineLock) -> None:
    """Their notes, by the next who gets the machine."""
    killed = holder("exclusive")
    assert killed.line() == "has it"
    killed.kill()
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    lock.release()
    assert list((tmp_path / "machine").glob("holder-*")) == []


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else's link in the shared folder must not make us touch our own files."""
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "gate.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InfraError, match="cannot be used"):
        MachineLock(folder).acquire(exclusive=True, timeout_s=1)
    assert not (tmp_path / "precious").exists()


def test_a_hostile_note_cannot_steer_the_terminal(tmp_path: Path, lock: MachineLock) -> None:
    """Notes are texts of other users."""
    lock.acquire(exclusive=True, timeout_s=PATIENCE_S)
    note = f'{{"pid": {os.getpid()}, "mode": "\\u001b[2J", "command": "x\\u202ey"}}'
    (tmp_path / "machine" / "holder-evil.json").write_text(note)
    (tmp_path / "machine" / "holder-odd.json").write_text("[1, 2]")
    assert "\x1b" not in lock.holders()
    assert "\u202e" not in lock.holders()


def test_four_processes_measure_one_after_the_other(holder: Callable[[str], Holder]) -> None:
    """As xdist's workers do."""
    waiting = [holder("exclusive") for _ in range(4)]
    has_it: list[Holder] = []
    for _ in range(4):
        assert eventually(lambda: bool(_readable(waiting, has_it)))
        now = _readable(waiting, has_it)
        assert len(now) == 1
        assert now[0].line() == "has it"
        has_it.append(now[0])
        clock.sleep(0.1)
        assert _readable(waiting, has_it) == []
        now[0].let_go()


def _struck(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _readable(waiting: list[Holder], done: list[Holder]) -> list[Holder]:
    import select

    open_ends = {holder.popen.stdout: holder for holder in waiting if holder not in done}
    return [open_ends[end] for end in select.select(list(open_ends), [], [], 0)[0]] if open_ends else []


@pytest.mark.skipif("sys.platform == 'win32'", reason="there is no fork")
def test_a_child_that_a_test_forked_does_not_keep_the_machine(tmp_path: Path) -> None:
    """It inherits the open lock file, and may live on; who was granted the machine lets go of it for both."""
    forks = """
import os, signal, sys
from pathlib import Path
from pytest_llmbench.servers.machine import MachineLock
first = MachineLock(Path(sys.argv[1]))
first.acquire(exclusive=True, timeout_s=60)
child = os.fork()
if not child:
    signal.pause()
first.release()
try:
    MachineLock(Path(sys.argv[1])).acquire(exclusive=True, timeout_s=1)
finally:
    os.kill(child, signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", forks, str(tmp_path)], timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
