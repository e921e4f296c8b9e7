"""The process that starts and stops all local servers of one pytest session. Standard library only; run by path.

    python -I -S supervisor.py FOLDER CONTROLLER_PID CAPACITY_BYTES LOG

It belongs to the session, not to the worker that happened to start it, and ends, with every server, when the controller
(the pytest process the user started) ends, in whatever way; when it is told to; when FOLDER is gone, so that nobody can
reach it. `claims.py` is its client, `desk.py` the protocol.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

if not __package__:
    # Run by path and without site-packages the package cannot be imported: its folder stands in for it.
    sys.modules["pytest_llmbench"] = types.ModuleType("pytest_llmbench")
    sys.modules["pytest_llmbench"].__path__ = [str(Path(__file__).parents[1])]

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import stat
import tempfile
from typing import Any

from pytest_llmbench import redaction
from pytest_llmbench.launch import adopt_orphans
from pytest_llmbench.servers import orphans
from pytest_llmbench.servers.controller import end_of_session
from pytest_llmbench.servers.desk import Desk
from pytest_llmbench.servers.logs import bound_own_output
from pytest_llmbench.servers.process import say

ADDRESS_FILE = "supervisor.json"
LOCK_FILE = "supervisor.lock"
SOCKET_NAME = "s"
FOLDER_PREFIX = "llmbench-"
SOCKET_PATH_BYTES = 100
"""The kernel takes 104 to 108; a longer path gets a short folder of its own."""
MESSAGE_BYTES = 2**22
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")


async def supervise(folder: Path, controller_pid: int, capacity_bytes: int, ready: int) -> None:
    """Serve until the session is over, then stop every server.

    Args:
        folder: where the address file is written; private to this user.
        controller_pid: the process this one must not outlive.
        capacity_bytes: memory that all servers together may need.
        ready: a descriptor that gets one byte once clients can connect.
    """
    desk = Desk(capacity_bytes, secrets.token_hex(16))
    os.environ[orphans.MARK] = orphans.identity(os.getpid())
    end_what_others_left(folder)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, desk.reap)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, desk.over.set)
    listener, address, socket_path = await _listen(desk, folder)
    who = {"supervisor": os.environ[orphans.MARK], "controller": orphans.identity(controller_pid)}
    _write_address(folder, {"address": address, "token": desk.token, "pid": os.getpid(), **who})
    os.write(ready, b"1")
    os.close(ready)
    try:
        say(await end_of_session(desk.over, folder / ADDRESS_FILE, controller_pid))
    finally:
        (folder / ADDRESS_FILE).unlink(missing_ok=True)
        listener.close()
        await desk.stop()
        if not _has_successor(folder):
            remove_traces(folder, socket_path)
        await desk.hang_up()


def dial(address: str | int) -> socket.socket:
    """A connection to what listens there.

    Raises:
        OSError: nothing does.
    """
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address))
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address)
    except OSError:
        line.close()
        raise
    return line


async def _listen(desk: Desk, folder: Path) -> tuple[asyncio.Server, str | int, Path | None]:
    """Listen on a Unix socket, or where there are none on a loopback port.

    Returns:
        The listener, the socket's path or the port, and the socket to remove at the end.
    """
    if not HAS_UNIX_SOCKETS:
        listener = await asyncio.start_server(desk.serve, "127.0.0.1", 0, limit=MESSAGE_BYTES)
        return listener, listener.sockets[0].getsockname()[1], None
    path = folder / SOCKET_NAME
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir="/tmp")) / SOCKET_NAME
    path.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(desk.serve, path, limit=MESSAGE_BYTES)
    return listener, str(path), path


def _has_successor(folder: Path) -> bool:
    """Whether another supervisor serves this folder by now, or is being started: stopping servers takes seconds."""
    if (folder / ADDRESS_FILE).exists():
        return True
    try:
        with (folder / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remove_traces(folder: Path, socket_path: Path | None = None) -> None:
    """Remove what a supervisor made in its folder and outside; a folder that holds more (logs) stays."""
    socket_path = socket_path or _socket_of(read_address(folder)) or folder / SOCKET_NAME
    for file in (folder / ADDRESS_FILE, folder / LOCK_FILE, socket_path):
        with contextlib.suppress(OSError):
            file.unlink()
    for made in (socket_path.parent, folder):
        with contextlib.suppress(OSError):
            made.rmdir()


def read_address(folder: Path) -> dict[str, Any]:
    """What the folder's supervisor told of itself; empty where it told nothing."""
    try:
        told = json.loads((folder / ADDRESS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def end_what_others_left(folder: Path) -> None:
    """End what servers of dead supervisors detached, remove the folders of sessions that are dead as a whole."""
    for pid in orphans.end_orphans():
        say(f"process {pid} was left by another supervisor, and is ended")
    for other in folder.parent.glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):
            if other != folder and is_private(other.lstat()) and _is_abandoned(read_address(other)):
                remove_traces(other)
                say(f"{other} was left by another session, and is removed")


def is_private(found: os.stat_result) -> bool:
    """Whether nobody but this user can have put something there."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _is_abandoned(address: dict[str, Any]) -> bool:
    return all(orphans.is_over(str(address.get(part, ""))) for part in ("supervisor", "controller"))


def _socket_of(address: dict[str, Any]) -> Path | None:
    """The socket, where it is one of ours: what stands in a file is not simply removed."""
    path = Path(str(address.get("address", "")))
    return path if path.name == SOCKET_NAME and path.parent.name.startswith(FOLDER_PREFIX) else None


def _write_address(folder: Path, content: dict[str, object]) -> None:
    half = folder / f"{ADDRESS_FILE}.{os.getpid()}"
    with os.fdopen(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file)
    half.replace(folder / ADDRESS_FILE)


def main(argv: list[str]) -> int:
    """Fork, so that nobody has to wait for this process; the first half returns once the second can be reached."""
    ready, ready_end = os.pipe()
    if os.fork():
        os.close(ready_end)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    adopt_orphans()
    redaction.register_environment(os.environ)
    bound_own_output(Path(argv[3]))
    asyncio.run(supervise(Path(argv[0]), int(argv[1]), int(argv[2]), ready_end))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
