"""Where the processes of one run find its asker: a private folder with its address.

The folder is the session's own; what stands in it is for its owner alone, and goes with the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.servers import orphans, supervisor

ADDRESS_FILE = "asker.json"
LOCK_FILE = "asker.lock"
STARTS_FILE = "asker.starts"
"""One byte a start: it may be started twice."""
OVER_FILE = "asker.over"
"""There once the controller ended the asking: nobody starts it again."""
SOCKET_NAME = "a"


def make_private(folder: Path) -> None:
    """Make the folder where it is missing.

    Raises:
        ServerError: it cannot be made, or others can write to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise trouble(f"{error.strerror}: {error.filename}") from error
    if not supervisor.is_private(found):
        raise trouble(f"{folder} is not a folder that only this user can write to")


async def listen(folder: Path, serve: Any) -> tuple[asyncio.Server, str | int]:
    """Listen on a Unix socket, or where there are none on a loopback port.

    Args:
        folder: the session's.
        serve: makes the protocol of a connection.

    Returns:
        The listener, and the socket's path or the port.
    """
    loop = asyncio.get_running_loop()
    if not supervisor.HAS_UNIX_SOCKETS:
        listener = await loop.create_server(serve, "127.0.0.1", 0)
        return listener, listener.sockets[0].getsockname()[1]
    path = folder / SOCKET_NAME
    if len(os.fsencode(path)) > supervisor.SOCKET_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix=supervisor.FOLDER_PREFIX, dir="/tmp")) / SOCKET_NAME
    path.unlink(missing_ok=True)
    return await loop.create_unix_server(serve, str(path)), str(path)


def tell_address(folder: Path, address: str | int, token: str, controller_pid: int) -> None:
    """Write down where this process listens; in one step, and for this user alone."""
    who = {"asker": orphans.identity(os.getpid()), "controller": orphans.identity(controller_pid)}
    half = folder / f"{ADDRESS_FILE}.{os.getpid()}"
    with os.fdopen(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"address": address, "token": token, "pid": os.getpid(), **who}, file)
    half.replace(folder / ADDRESS_FILE)


def read_address(folder: Path) -> dict[str, Any]:
    """What the run's asker told of itself; empty where it told nothing, or where the folder is not ours alone."""
    try:
        if not supervisor.is_private(folder.lstat()):
            return {}
        told = json.loads((folder / ADDRESS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def forget_address(folder: Path) -> None:
    """This process listens no more; the address of a successor stays."""
    told = read_address(folder)
    if told.get("pid") == os.getpid():
        for name in (ADDRESS_FILE, SOCKET_NAME):
            (folder / name).unlink(missing_ok=True)
        _remove_socket(told)


def remove_traces(folder: Path) -> None:
    """Remove what an asker left; a folder that holds more stays."""
    _remove_socket(read_address(folder))
    for name in (ADDRESS_FILE, LOCK_FILE, STARTS_FILE, OVER_FILE, SOCKET_NAME):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def remove_what_others_left(folder: Path) -> None:
    """Remove what is left of sessions that were killed as a whole."""
    for other in folder.parent.glob(f"{supervisor.FOLDER_PREFIX}*"):
        told = read_address(other)
        if told and all(orphans.is_over(str(told.get(part, ""))) for part in ("asker", "controller")):
            remove_traces(other)


def count_start(folder: Path) -> int:
    """Note that the asker is being started, under the lock; how often it has been in this run, this time included."""
    with (folder / STARTS_FILE).open("ab") as file:
        file.write(b".")
        return file.tell()


def trouble(reason: str) -> ServerError:
    """The asker cannot be reached, and why."""
    return ServerError(
        f"the process that asks APIs for all workers cannot be reached: {reason}",
        category=Category.LOCAL_ASKER,
        hint="run again; what was answered is stored, and `--resume` asks only the rest",
    )


def _remove_socket(told: dict[str, Any]) -> None:
    """Where it is one of ours: what stands in a file is not simply removed."""
    path = Path(str(told.get("address", "")))
    if path.name == SOCKET_NAME and path.parent.name.startswith(supervisor.FOLDER_PREFIX):
        with contextlib.suppress(OSError):
            path.unlink()
            path.parent.rmdir()
