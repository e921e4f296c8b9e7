"""One process's line to the supervisor: find or start it, send requests, await answers.

Requests may be sent from several threads at once; a reader thread hands each answer to who asked.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_llmbench import redaction
from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.lifelines import Lifeline
from pytest_llmbench.servers import orphans, supervisor
from pytest_llmbench.servers.logs import opened_private

START_S = 60.0
ANSWER_S = 30.0
"""A supervisor answers at once, also while it loads a large model. One that is silent for so long is stuck."""
STEP_S = 0.5
_STUCK = "it did not answer and was ended"


class LostError(Exception):
    """The supervisor is gone: the connection broke, or it was stuck and had to be ended."""


class Connection(Lifeline):
    """One process's. All claims made over it end when it closes; on Linux servers die with the supervisor."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__(line, "llmbench-supervisor")
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._reader.start()

    def send(self, op: str, **content: Any) -> tuple[int, Future[dict[str, Any]]]:
        """Send a request.

        Returns:
            Its number, and the answer to come (`{"ok": ...}` or `{"error": ...}`), which raises `LostError` when the
            supervisor goes before it answers.
        """
        answer: Future[dict[str, Any]] = Future()
        with self._turn:
            if self._lost:
                raise LostError
            number = next(self._numbers)
            self._waiting[number] = answer
            try:
                self._line.sendall(json.dumps({"id": number, "op": op, **content}).encode() + b"\n")
            except OSError as error:
                self._lost = True
                raise LostError from error
        return number, answer

    def ask(self, op: str, **content: Any) -> Any:
        """Send a request that is answered at once; its result.

        Raises:
            LostError: the supervisor is gone, ending, or does not answer.
        """
        answer = self.send(op, **content)[1]
        for _ in range(max(1, round(ANSWER_S / STEP_S))):
            with contextlib.suppress(TimeoutError):
                return _result(answer.result(STEP_S))
        self.end_peer()
        raise LostError(_STUCK)

    def wait(self, answer: Future[dict[str, Any]]) -> dict[str, Any]:
        """Wait for an answer that may take long, for as long as the supervisor shows that it is at work.

        In short steps, so that Ctrl-C is heard on every system. Steps are counted, not seconds: where this process
        was stopped for a while itself, that is not the supervisor's silence.

        Raises:
            LostError: the supervisor is gone, or did not answer for `ANSWER_S` and was ended.
        """
        ping, silent_s = self.send("ping")[1], 0.0
        while silent_s < ANSWER_S:
            with contextlib.suppress(TimeoutError):
                return answer.result(STEP_S)
            silent_s += STEP_S
            if ping.done():
                ping, silent_s = self.send("ping")[1], 0.0
        self.end_peer()
        raise LostError(_STUCK)

    def _read(self) -> None:
        try:
            with self._line, self._line.makefile("rb") as lines:
                for line in lines:
                    answer = json.loads(line)
                    self._waiting.pop(answer["id"]).set_result(answer)
        except (OSError, ValueError, KeyError, TypeError):  # a broken line reads like a closed one
            pass
        finally:
            with self._turn:
                self._lost = True
            for waiting in self._waiting.values():
                waiting.set_exception(LostError())


def connect(folder: Path, *, patience_s: float | None = None) -> Connection | None:
    """The line to the supervisor that serves this folder; None where none does.

    Args:
        folder: the session's.
        patience_s: how long it may be silent before it is ended; by default `ANSWER_S`.

    Raises:
        ServerError: something answers there that is not ours.
    """
    address = supervisor.read_address(folder)
    try:
        if not address or not supervisor.is_private(folder.lstat()):
            return None  # somebody else's, who only knows our name
        line = Connection(supervisor.dial(address["address"]))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    redaction.register(address["token"])
    try:
        answer = line.send("hello", token=address["token"])[1].result(patience_s or ANSWER_S)
    except TimeoutError:
        _end_silent(line, address)
        return None
    except LostError:
        line.close()
        return None
    if "error" in answer:
        line.close()
        raise _trouble(f"{folder} names a supervisor that does not know this session")
    line.peer_pid = answer["ok"]["pid"]
    return line


def _end_silent(line: Connection, address: Mapping[str, Any]) -> None:
    """End a supervisor that lets one connect and then says nothing: it is in the way of the next."""
    if address.get("supervisor") == orphans.identity(address["pid"]):
        line.peer_pid = address["pid"]
        line.end_peer()
    line.close()


def connect_or_start(folder: Path, log_folder: Path, controller_pid: int, capacity_bytes: int) -> Connection:
    """The line to the supervisor, started by the first process that asks.

    Raises:
        ServerError: it cannot be started.
    """
    _make_private(folder)
    try:
        log_folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / supervisor.LOCK_FILE, timeout=START_S):
            if (connection := connect(folder)) is not None:
                return connection
            _start(folder, log_folder / "supervisor.log", controller_pid, capacity_bytes)
            connection = connect(folder)
    except Timeout:
        raise _trouble(f"another process has been starting it for {START_S:g} s") from None
    except OSError as error:
        raise _trouble(f"{error.strerror}: {error.filename}") from error
    if connection is None:
        raise _trouble(f"it ended at once; see {log_folder / 'supervisor.log'}")
    return connection


def _start(folder: Path, log_path: Path, controller_pid: int, capacity_bytes: int) -> None:
    arguments = [str(folder), str(controller_pid), str(capacity_bytes), str(log_path.absolute())]
    try:
        with opened_private(log_path) as log:
            subprocess.run(
                [sys.executable, "-I", "-S", str(Path(supervisor.__file__).absolute()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=START_S,
                check=True,
            )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise _trouble(f"it did not start; see {log_path}") from error


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _trouble(f"{error.strerror}: {error.filename}") from error
    if not supervisor.is_private(found):
        raise _trouble(f"{folder} is not a folder that only this user can write to")


def _result(answer: Mapping[str, Any]) -> Any:
    if "error" in answer:
        raise LostError(answer["error"].get("message", ""))
    return answer["ok"]


def _trouble(reason: str) -> ServerError:
    return ServerError(
        f"the process that looks after local servers cannot be reached: {reason}",
        category=Category.LOCAL_SUPERVISOR,
        hint="run again; if it stays so, remove the folder or the process it names",
    )
