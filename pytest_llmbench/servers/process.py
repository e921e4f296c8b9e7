"""One local server as the supervisor runs it: start, readiness, death, end. Standard library only.

Ready means three things at once: the process lives, it (and nobody else) listens on a port of the loopback interface,
and `/health` answers 200 there before the deadline. The server is then asked what it made of its settings; a context or
slot count other than the one asked for (silent fitting) is a failed start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_llmbench import launch, redaction
from pytest_llmbench.servers import listeners
from pytest_llmbench.servers.logs import BoundedLog, Output, new_path
from pytest_llmbench.servers.readiness import Announcements, read_properties, serving_port, works

POLL_S = 0.015
TERM_GRACE_S = 5.0
CONTEXT_STEP = 256
"""llama.cpp rounds a context up to a multiple of this."""
_DEATHS_KEPT = 8
_LAUNCHER = launch.__file__


@dataclass(frozen=True, slots=True)
class Order:
    """A server configuration as a client sends it."""

    key: str
    argv: list[str]
    need_bytes: int
    log: str
    """Path of the log without its number and suffix."""
    load_timeout_s: float
    context: int
    """Tokens per slot that the server has to have."""
    slots: int


class StartFailedError(Exception):
    """A server did not become ready; `facts` go to the client, which makes its own error of them."""

    def __init__(self, kind: str, message: str, facts: dict[str, Any]) -> None:
        super().__init__(message)
        self.facts = {"kind": kind, "message": message, **facts}


class ServerProcess:
    """A configuration and the process that serves it now, if any. Used from one event loop."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.starts = 0
        self._deaths: deque[dict[str, Any]] = deque(maxlen=_DEATHS_KEPT)
        """The last deaths nobody asked for: pid, exit_code, log_tail, log_path, out_of_memory, hung."""
        self._lock = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._ending: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exited = asyncio.Event()
        self._exit_code: int | None = None
        self._serving = False
        self._failure: StartFailedError | None = None
        self._info: dict[str, Any] = {}
        self._api_key = ""
        self._output: Output | None = None
        self._told = Announcements()
        self._hung = False
        self._kills_before = 0

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        return self._process.pid if self._process else None

    async def ensure(self) -> dict[str, Any]:
        """The running server, started where it does not run; several callers share one start, and its failure.

        Raises:
            StartFailedError: it did not become ready.
        """
        joined = self._lock.locked()
        async with self._lock:
            if self._ending is not None:
                await asyncio.shield(self._ending)
            self.reap()
            if self._process is None:
                if joined and self._failure is not None:
                    raise self._failure
                self._failure = None
                try:
                    self._info = await self._start()
                except StartFailedError as failure:
                    self._failure = failure
                    raise
            return self._info

    def leave(self) -> asyncio.Task[None]:
        """Begin to end the process tree: TERM, after 5 s KILL. A start that is asked for meanwhile comes after it."""
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._end())
        return self._ending

    async def stop(self) -> None:
        """End the process tree. Goes on when the caller is cancelled."""
        await asyncio.shield(self.leave())

    async def suspect(self, pid: int, bound_s: float) -> None:
        """Look whether a process that let somebody wait still works; kill it where it does not.

        Several who wait share one look. What was found shows in `status`.

        Args:
            pid: the process that was waited for; another one is not looked at.
            bound_s: how long it may take to show that it works.
        """
        async with self._looking:
            self.reap()
            process = self._process
            if process is None or process.pid != pid or not self._serving:
                return
            if await works(self._info["port"], self._api_key, bound_s) or self._process is not process:
                return
            say(f"server {pid} did nothing for {bound_s:g} s and is killed")
            self._hung = True
            _signal_group(pid, signal.SIGKILL)
            await self._gone(process)

    def reap(self) -> None:
        """Notice that the process has ended, and end what it left in its group."""
        process = self._process
        if process is None or process.poll() is None:
            return
        _signal_group(process.pid, signal.SIGKILL)
        self._exit_code, self._process = process.returncode, None
        if self._output is not None:
            self._output.close()
        if self._serving:
            self._serving = False
            self._deaths.append({"pid": process.pid, "hung": self._hung, **self._facts()})
            say(f"server {process.pid} died with {self._exit_code}")
        self._exited.set()

    def status(self, pid: int | None = None) -> dict[str, Any]:
        """State, number of starts, how that process died, or the last one that did."""
        self.reap()
        last = self._deaths[-1] if self._deaths else None
        crash = next((death for death in self._deaths if death["pid"] == pid), last)
        return {"state": "running" if self._process else "stopped", "starts": self.starts, "crash": crash}

    async def _start(self) -> dict[str, Any]:
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._spawn()
        try:
            try:
                async with asyncio.timeout(self.order.load_timeout_s):
                    port, load_s = await self._ready()
            except TimeoutError:
                reason = f"not ready after {self.order.load_timeout_s:g} s: {self._how_far()}"
                raise self._failed("timeout", reason) from None
            told = await self._read_back(port)
            self._serving = True
        finally:
            if not self._serving:
                await self._abort()
        address = {"port": port, "api_key": self._api_key, "pid": self.pid, "started_at": started_at}
        return {**address, **told, "load_s": load_s, "log_path": self._log_path(), "command": self.order.argv}

    def _spawn(self) -> None:
        self._api_key = secrets.token_urlsafe(24)
        redaction.register(self._api_key)
        # LLAMA_ARG_* of the user's shell would change a server behind the back of its specification.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLAMA_ARG_")}
        launch = [sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid()), *self.order.argv]
        self._kills_before, self._exit_code, self._hung = _oom_kills(), None, False
        self._told = Announcements()
        self._output = output = Output(BoundedLog(new_path(self.order.log)), self._told.hear)
        self._exited.clear()
        self.starts += 1
        try:
            self._process = subprocess.Popen(  # the main thread: launch.py ties the server's life to it
                launch,
                env={**inherited, "LLAMA_API_KEY": self._api_key},
                stdin=subprocess.DEVNULL,
                stdout=output.write_end,
                stderr=output.write_end,
                start_new_session=True,
            )
        except OSError:
            output.close()
            raise
        finally:
            os.close(output.write_end)
        say(f"server {self._process.pid} starts, log {self._log_path()}")

    async def _ready(self) -> tuple[int, float]:
        while True:
            self.reap()
            if self._process is None or self._output is None:
                raise self._failed("exited", "the process ended while loading")
            self._output.read()
            port = await serving_port(self._process.pid, self._told.ports, self._api_key)
            if port is not None and self._told.started is not None:
                return port, time.monotonic() - self._told.started
            await self._refuse_to_share()
            await asyncio.sleep(POLL_S)

    async def _refuse_to_share(self) -> None:
        found = listeners.ports_of(self._process.pid) if self._process else None
        if found is not None and found.contested:
            raise self._failed("port", f"another process listens on port {min(found.contested)} too")

    def _how_far(self) -> str:
        """How far a server got that is not ready."""
        found = listeners.ports_of(self._process.pid) if self._process else None
        if found is None:
            return f"its log names {f'port {self._told.ports[0]}' if self._told.ports else 'no port'}"
        if not found.own:
            return "it listens on no port of 127.0.0.1"
        return f"/health on port {min(found.own)} does not answer 200"

    async def _read_back(self, port: int) -> dict[str, Any]:
        asked = self.order
        try:
            context, slots, model_path = await read_properties(port, self._api_key)
        except ValueError as error:
            raise self._failed("mismatch", str(error)) from error
        if slots != asked.slots or not asked.context <= context < asked.context + CONTEXT_STEP:
            reason = f"{asked.slots} slots of {asked.context} tokens were asked for, it has {slots} of {context}"
            raise self._failed("mismatch", reason)
        return {"context": context, "slots": slots, "model_path": model_path}

    async def _end(self) -> None:
        async with self._lock:
            self._serving, self._failure = False, None
            if (process := self._process) is None:
                return
            say(f"server {process.pid} is told to end")
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TERM_GRACE_S):
                    await self._gone(process)
            await self._abort()

    async def _abort(self) -> None:
        if (process := self._process) is not None:
            _signal_group(process.pid, signal.SIGKILL)
            await self._gone(process)

    async def _gone(self, process: subprocess.Popen[bytes]) -> None:
        self.reap()
        while self._process is process:
            self._exited.clear()
            await self._exited.wait()

    def _failed(self, kind: str, message: str) -> StartFailedError:
        return StartFailedError(kind, message, {"key": self.order.key, **self._facts()})

    def _log_path(self) -> str:
        return str(self._output.log.path) if self._output else ""

    def _facts(self) -> dict[str, Any]:
        return {
            "exit_code": self._exit_code,
            "log_tail": self._output.tail() if self._output else "",
            "log_path": self._log_path(),
            "out_of_memory": self._exit_code == -signal.SIGKILL and _oom_kills() > self._kills_before,
        }


def say(text: str) -> None:
    """A line in the supervisor's log."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(pid, number)


def _oom_kills() -> int:
    """How often the kernel's out-of-memory killer struck on this machine; 0 where it does not tell (not Linux)."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
