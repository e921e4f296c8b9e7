"""One session's servers, as tests need them: clients in this process and in others, all of it gone at the end."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from pytest_llmbench import clock
from pytest_llmbench.records import ModelFile, ServerSpec
from pytest_llmbench.servers.claims import Supervisor

PATIENCE_S = 60.0
ORPHAN_LIMIT_S = 10.0

CLIENT = """
import json, os, sys
from pathlib import Path
from pytest_llmbench.records import ServerSpec
from pytest_llmbench.servers.claims import Supervisor

folder, controller, capacity, spec = sys.argv[1:]
supervisor = Supervisor(
    Path(folder), int(controller) or os.getpid(), engine="embedded", binary="", load_timeout_s=120,
    capacity_bytes=int(capacity) or None, log_folder=Path(folder + "-logs"),
)
info = supervisor.claim([ServerSpec.from_dict(json.loads(spec))], wait=True)[0]
print(json.dumps({**info.public(), "api_key": info.api_key.reveal()}), flush=True)
sys.stdin.readline()
"""


class OtherProcess:
    """A client process: it claims one server, tells what it got, and holds it until it is killed or closed."""

    def __init__(self, session: ServerSession, spec: ServerSpec, controller_pid: int) -> None:
        arguments = [str(session.folder), str(controller_pid), str(session.capacity_bytes or 0)]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", CLIENT, *arguments, json.dumps(spec.as_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def granted(self) -> dict[str, Any]:
        """The server it was given; waits for it."""
        assert self.popen.stdout is not None
        told: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return told

    def still_waits(self, seconds: float = 1.5) -> bool:
        """Whether it has been given nothing for so long."""
        return not select.select([self.popen.stdout], [], [], seconds)[0]

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()


class ServerSession:
    """What one pytest session shares; the controller is this process unless a test says otherwise."""

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="lb-"))
        self.folder = self.base / "s"
        self.logs = self.base / "s-logs"
        self.capacity_bytes = capacity_bytes
        self._clients: list[Supervisor] = []
        self._processes: list[OtherProcess] = []
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        with suppress(OSError, ValueError):
            self.watch(self.supervisor_pid)
        for client in self._clients:
            client.close()
        if self._clients:
            self._clients[0].shutdown()
        for process in self._seen.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(self.base, ignore_errors=True)

    def client(self, **choices: Any) -> Supervisor:
        """A client in this process."""
        settings: dict[str, Any] = {"engine": "embedded", "binary": "", "load_timeout_s": 120.0, **choices}
        client = Supervisor(
            self.folder, os.getpid(), capacity_bytes=self.capacity_bytes, log_folder=self.logs, **settings
        )
        self._clients.append(client)
        return client

    def other_process(self, spec: ServerSpec, *, controller_pid: int | None = None) -> OtherProcess:
        """A client in a process of its own; `controller_pid=0` makes it the controller."""
        process = OtherProcess(self, spec, os.getpid() if controller_pid is None else controller_pid)
        self._processes.append(process)
        return process

    @property
    def supervisor_pid(self) -> int:
        return int(json.loads((self.folder / "supervisor.json").read_text())["pid"])

    def watch(self, *pids: int | None) -> None:
        """Remember processes, so that they end with the test whatever happens."""
        for pid in pids:
            assert pid is not None
            with suppress(psutil.NoSuchProcess):
                self._seen[pid] = psutil.Process(pid)


def spec_of(model: ModelFile, **choices: Any) -> ServerSpec:
    return ServerSpec(model, **{"context": 512, **choices})


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected by its parent does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def eventually(happens: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    deadline = clock.monotonic() + within_s
    while clock.monotonic() < deadline:
        if happens():
            return True
        clock.sleep(0.02)
    return happens()


def gone(*pids: int) -> bool:
    """Whether all of them end within the time that nothing may outlive its session."""
    return eventually(lambda: not any(lives(pid) for pid in pids), ORPHAN_LIMIT_S)


@contextmanager
def interrupted(after_s: float) -> Iterator[None]:
    """A Ctrl-C for the main thread in `after_s` seconds."""

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
