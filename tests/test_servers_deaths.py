"""Whoever is killed, nothing is left running, and the next claim works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_scripts import script
from server_sessions import ServerSession, eventually, gone, lives, spec_of

from pytest_llmbench.errors import Category
from pytest_llmbench.records import ModelFile


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


def test_kill_9_of_a_worker_leaves_its_server_to_the_session(session: ServerSession, smollm2: ModelFile) -> None:
    """The worker that started everything dies; the next one finds the server loaded."""
    worker = session.other_process(spec_of(smollm2))
    told = worker.granted()
    worker.kill()
    assert session.client().claim([spec_of(smollm2)], wait=True)[0].pid == told["pid"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_nothing_outlives_the_controller(session: ServerSession, smollm2: ModelFile, how: signal.Signals) -> None:
    """The pytest process dies; its servers and the supervisor follow within ten seconds."""
    controller = session.other_process(spec_of(smollm2), controller_pid=0)
    told = controller.granted()
    supervisor = session.supervisor_pid
    session.watch(supervisor, told["pid"])
    controller.popen.send_signal(how)
    controller.popen.communicate()
    assert gone(supervisor, told["pid"])
    assert eventually(lambda: not session.folder.exists())


def test_workers_that_live_on_do_not_keep_servers_of_a_dead_controller(
    session: ServerSession, smollm2: ModelFile
) -> None:
    """An open connection is no reason to stay."""
    controller = session.other_process(spec_of(smollm2), controller_pid=0)
    told = controller.granted()
    session.other_process(spec_of(smollm2), controller_pid=controller.pid).granted()
    supervisor = session.supervisor_pid
    session.watch(supervisor, told["pid"])
    controller.kill()
    assert gone(supervisor, told["pid"])


@pytest.mark.skipif(sys.platform != "linux", reason="a parent-death signal is Linux's")
def test_kill_9_of_the_supervisor_takes_its_servers_along(session: ServerSession, smollm2: ModelFile) -> None:
    """The kernel kills the servers; the client says what happened and its next claim starts anew."""
    client = session.client()
    first = client.claim([spec_of(smollm2)], wait=True)[0]
    supervisor = session.supervisor_pid
    assert first.pid is not None
    session.watch(supervisor, first.pid)
    os.kill(supervisor, signal.SIGKILL)
    assert gone(supervisor, first.pid)
    died = client.crash(spec_of(smollm2))
    assert died is not None
    assert died.category is Category.LOCAL_SUPERVISOR
    client.release([spec_of(smollm2)])
    assert client.claim([spec_of(smollm2)], wait=True)[0].pid != first.pid
    assert session.supervisor_pid != supervisor


def test_sigterm_of_the_supervisor_stops_its_servers(session: ServerSession, smollm2: ModelFile) -> None:
    """It ends in order: servers first, then its folder."""
    info = session.client().claim([spec_of(smollm2)], wait=True)[0]
    supervisor = session.supervisor_pid
    assert info.pid is not None
    session.watch(supervisor, info.pid)
    os.kill(supervisor, signal.SIGTERM)
    assert gone(supervisor, info.pid)
    assert not session.folder.exists()


def test_kill_9_of_a_server_is_told_and_mended_by_the_next_claim(session: ServerSession, smollm2: ModelFile) -> None:
    """The exit code and the log tail belong to the error of the exchange that broke."""
    client = session.client()
    first = client.claim([spec_of(smollm2)], wait=True)[0]
    assert client.crash(spec_of(smollm2), settle_s=0) is None
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    died = client.crash(spec_of(smollm2), settle_s=30)
    assert died is not None
    assert (died.category, died.exit_code) == (Category.LOCAL_SERVER_CRASH, -signal.SIGKILL)
    assert "model loaded" in died.log_tail
    assert first.api_key.reveal() not in str(died)
    second = client.claim([spec_of(smollm2)], wait=True)[0]
    assert second.pid != first.pid
    assert second.log_path != first.log_path
    assert client.crash(spec_of(smollm2), settle_s=0) is None
    assert client.status(spec_of(smollm2)).starts == 2


def test_a_folder_that_vanishes_ends_its_supervisor(session: ServerSession, smollm2: ModelFile) -> None:
    """Nobody could reach it any more."""
    info = session.client().claim([spec_of(smollm2)], wait=True)[0]
    supervisor = session.supervisor_pid
    assert info.pid is not None
    session.watch(supervisor, info.pid)
    (session.folder / "supervisor.json").unlink()
    assert gone(supervisor, info.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")
def test_the_whole_tree_of_a_server_ends_with_it(session: ServerSession, smollm2: ModelFile, tmp_path: Path) -> None:
    """Children in its process group, and those that left it."""
    binary = script(tmp_path, serves=True, before=_SPAWN_TWO.format(pids=tmp_path / "pids"))
    client = session.client(engine="llama-server", binary=str(binary))
    info = client.claim([spec_of(smollm2)], wait=True)[0]
    children = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    session.watch(info.pid, *children)
    assert all(lives(pid) for pid in children)
    client.shutdown()
    assert gone(*children)


def test_a_server_that_ignores_sigterm_is_killed(session: ServerSession, smollm2: ModelFile, tmp_path: Path) -> None:
    """Asked to end, given five seconds, then ended."""
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    client = session.client(engine="llama-server", binary=str(script(tmp_path, serves=True, before=ignore)))
    info = client.claim([spec_of(smollm2)], wait=True)[0]
    assert info.pid is not None
    session.watch(info.pid)
    client.shutdown()
    assert gone(info.pid)


def test_a_server_does_not_start_for_a_parent_that_is_gone() -> None:
    """Between fork and the parent-death signal the supervisor may have died."""
    launcher = Path(__file__).parents[1] / "pytest_llmbench" / "launch.py"
    command = [sys.executable, "-I", "-S", str(launcher), "1", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 127
    assert done.stdout == ""


_SPAWN_TWO = """
import subprocess
pids = [subprocess.Popen(["sleep", "600"], start_new_session=new).pid for new in (False, True)]
open("{pids}", "w").write(" ".join(map(str, pids)))
"""
