"""One process's line to the supervisor: find or start it, send requests, await answers.

Requests may be sent from several threads at once; a reader thread hands each answer to who asked.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.servers import supervisor

START_S = 60.0
ANSWER_S = 30.0


class LostError(Exception):
    """The supervisor is gone: the connection broke."""


class Connection:
    """An open line. All claims made over it end when it closes."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._lost = False
        self._reader = threading.Thread(target=self._read, name="llmbench-supervisor", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether it broke or was closed."""
        return self._lost

    def send(self, op: str, **content: Any) -> tuple[int, Future[dict[str, Any]]]:
        """Send a request.

        Returns:
            Its number, and the answer to come (`{"ok": ...}` or `{"error": ...}`), which raises `LostError` when the
            supervisor goes before it answers.
        """
        answer: Future[dict[str, Any]] = Future()
        with self._lock:
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
        try:
            return self.send(op, **content)[1].result(ANSWER_S)["ok"]
        except (TimeoutError, KeyError) as error:
            raise LostError from error

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the other side hangs up; whether it did."""
        self._reader.join(timeout_s)
        return not self._reader.is_alive()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _read(self) -> None:
        try:
            with self._line, self._line.makefile("rb") as lines:
                for line in lines:
                    answer = json.loads(line)
                    self._waiting.pop(answer["id"]).set_result(answer)
        except (OSError, ValueError, KeyError):  # a broken line reads like a closed one
            pass
        finally:
            with self._lock:
                self._lost = True
            for waiting in self._waiting.values():
                waiting.set_exception(LostError())


def connect(folder: Path) -> Connection | None:
    """The line to the supervisor that serves this folder; None where none does.

    Raises:
        ServerError: something answers there that is not ours.
    """
    try:
        if not _is_private(folder.lstat()):
            return None  # somebody else's, who only knows our name
        address = json.loads((folder / supervisor.ADDRESS_FILE).read_text())
        line = _dial(address["address"])
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    connection = Connection(line)
    try:
        answer = connection.send("hello", token=address["token"])[1].result(ANSWER_S)
    except (LostError, TimeoutError):
        connection.close()
        return None
    if "error" in answer:
        connection.close()
        raise _trouble(f"{folder} names a supervisor that does not know this session")
    return connection


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
    arguments = [str(folder), str(controller_pid), str(capacity_bytes)]
    try:
        with log_path.open("ab") as log:
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


def _dial(address: str | int) -> socket.socket:
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address))
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address)
    except OSError:
        line.close()
        raise
    return line


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _trouble(f"{error.strerror}: {error.filename}") from error
    if not _is_private(found):
        raise _trouble(f"{folder} is not a folder that only this user can write to")


def _is_private(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _trouble(reason: str) -> ServerError:
    return ServerError(
        f"the process that looks after local servers cannot be reached: {reason}",
        category=Category.LOCAL_SUPERVISOR,
        hint="run again; if it stays so, remove the folder or the process it names",
    )
