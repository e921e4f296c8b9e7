"""The line to the supervisor: who is let in, and how systems without Unix sockets or pidfds are served."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from server_sessions import PATIENCE_S

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.servers import connection, controller, supervisor
from pytest_llmbench.servers.connection import Connection, LostError
from pytest_llmbench.servers.desk import Desk


def dialled(folder: Path, token: str) -> Connection | None:
    """Connect to a desk that listens in this process, with the token that its address file names."""

    async def meet() -> Connection | None:
        listener, address, _ = await supervisor._listen(Desk(0, "right"), folder)
        supervisor._write_address(folder, {"address": address, "token": token, "pid": 0})
        try:
            line = await asyncio.to_thread(connection.connect, folder)
            if line is not None:
                assert (await asyncio.to_thread(line.ask, "status", key="none"))["state"] == "unknown"
                await asyncio.to_thread(line.close)
            return line
        finally:
            listener.close()

    return asyncio.run(meet())


def test_a_loopback_port_serves_where_there_are_no_unix_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is what keeps other users of the machine out."""
    monkeypatch.setattr(supervisor, "HAS_UNIX_SOCKETS", False)
    assert dialled(tmp_path, "right") is not None
    assert isinstance(json.loads((tmp_path / "supervisor.json").read_text())["address"], int)


def test_a_wrong_token_is_turned_away(tmp_path: Path) -> None:
    """On every kind of socket."""
    with pytest.raises(ServerError, match="does not know this session") as raised:
        dialled(tmp_path, "wrong")
    assert raised.value.category is Category.LOCAL_SUPERVISOR


def test_the_address_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It holds the token."""
    dialled(tmp_path, "right")
    assert (tmp_path / "supervisor.json").stat().st_mode & 0o077 == 0


def test_an_address_that_nobody_answers_is_no_line(tmp_path: Path) -> None:
    """A supervisor that was killed leaves its address behind; the next one replaces it."""
    dialled(tmp_path, "right")
    assert connection.connect(tmp_path) is None


def test_a_line_whose_other_end_goes_says_so() -> None:
    """To who waits for an answer, and to who asks afterwards."""
    ours, theirs = socket.socketpair()
    line = Connection(ours)
    _, answer = line.send("status", key="x")
    theirs.close()
    with pytest.raises(LostError):
        answer.result(PATIENCE_S)
    with pytest.raises(LostError):
        line.send("status", key="x")
    line.close()


@pytest.mark.parametrize("watched", [True, False], ids=["by the kernel", "by looking"])
def test_the_end_of_a_process_is_noticed(monkeypatch: pytest.MonkeyPatch, *, watched: bool) -> None:
    """By pidfd or kqueue; where a sandbox forbids them, by looking again and again."""

    def forbidden(_: int) -> None:
        raise OSError(errno.ENOSYS, "not here")

    if not watched:
        monkeypatch.setattr(controller, "_watch", forbidden)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:

        async def watch() -> None:
            async with asyncio.timeout(PATIENCE_S):
                waiting = asyncio.create_task(controller.wait_until_gone(process.pid))
                await asyncio.sleep(0.2)
                assert not waiting.done()
                process.kill()
                process.wait()
                await waiting
                assert waiting.done()

        asyncio.run(watch())


def test_a_process_that_is_gone_already_is_noticed_at_once() -> None:
    """The controller may have died before the supervisor looked."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    begun = clock.monotonic()
    asyncio.run(asyncio.wait_for(controller.wait_until_gone(process.pid), PATIENCE_S))
    assert clock.monotonic() - begun < PATIENCE_S


def test_the_supervisor_imports_the_standard_library_alone() -> None:
    """It starts in milliseconds, and no project's package can be in its way."""
    probe = (
        "import runpy, sys; sys.argv = ['supervisor']; "
        f"runpy.run_path({supervisor.__file__!r}, run_name='probe'); "
        "print([n for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))], "
        "sorted(n for n in sys.modules if n.startswith('pytest_llmbench')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", probe], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    foreign, _, ours = done.stdout.partition("] ")
    assert foreign == "["
    assert "pytest_llmbench.servers.desk" in ours
    assert "pytest_llmbench.errors" not in ours
