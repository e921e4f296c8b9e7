"""Find the run's asker, start it where there is none, end it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmbench import redaction
from pytest_llmbench.asker import meeting
from pytest_llmbench.asker.client_line import SILENT_S, ClientLine, LostError, OnNeed
from pytest_llmbench.asker.orders import Orders
from pytest_llmbench.errors import Category, InfraError, ServerError
from pytest_llmbench.servers import supervisor
from pytest_llmbench.servers.logs import opened_private

COMMAND = (sys.executable, "-P", "-m", "pytest_llmbench.asker.process")
START_S = 60.0
STOP_S = 15.0
"""How long the store may take for what was complete when the session ended."""
STARTS = 2
"""It is started once more where it died, and no third time."""


def connect(folder: Path, on_need: OnNeed) -> ClientLine | None:
    """The line to the asker of this folder; None where there is none.

    Raises:
        ServerError: something answers there that is not ours.
    """
    told = meeting.read_address(folder)
    if not told:
        return None
    redaction.register(str(told["token"]))
    try:
        line = ClientLine(supervisor.dial(told["address"]), on_need)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        line.peer_pid = int(told["pid"])
        line.request("hello", token=told["token"]).answer.result(SILENT_S)
    except TimeoutError:
        line.end_peer()
    except LostError:
        pass
    except InfraError as error:
        line.close()
        raise meeting.trouble(f"it does not know this session ({error.message})") from error
    if line.lost:
        line.close()
        return None
    return line


def connect_or_start(folder: Path, orders: Orders, on_need: OnNeed, command: Sequence[str]) -> ClientLine:
    """The line to the run's asker, started by the first process that asks.

    Raises:
        ServerError: it cannot be started, or died too often.
        InfraError: the session has ended.
    """
    meeting.make_private(folder)
    try:
        with FileLock(folder / meeting.LOCK_FILE, timeout=START_S):
            if (folder / meeting.OVER_FILE).exists():
                raise InfraError("this session asks no more: it has ended", category=Category.CANCELLED)
            if (line := connect(folder, on_need)) is not None:
                return line
            if (starts := meeting.count_start(folder)) > STARTS:
                raise died()
            _start(folder, orders, command, again=starts > 1)
            line = connect(folder, on_need)
    except Timeout:
        raise meeting.trouble(f"another process has been starting it for {START_S:g} s") from None
    except OSError as error:
        raise meeting.trouble(f"{error.strerror}: {error.filename}") from error
    if line is None:
        raise meeting.trouble(f"it ended at once; see {orders.log_path}")
    return line


def end(folder: Path) -> Sequence[str]:
    """End the run's asking for good: called by the controller once no test is left.

    Comes back when all that was complete is stored, or after `STOP_S`, and then the process is killed.

    Returns:
        What was changed in requests because a model does not take it, a sentence each.
    """
    notes: Sequence[str] = ()
    if not folder.exists():
        return notes
    with contextlib.suppress(Timeout), FileLock(folder / meeting.LOCK_FILE, timeout=START_S):
        (folder / meeting.OVER_FILE).touch(mode=0o600)
    with contextlib.suppress(ServerError, LostError):
        line = connect(folder, has_none)
        if line is None:
            return notes
        notes = line.result(line.request("shutdown"))["notes"]
        if not line.wait_closed(STOP_S):
            line.end_peer()
        line.close()
    return notes


def died() -> ServerError:
    """The asker is gone, and what was asked with it."""
    return ServerError(
        "the process that asks APIs for all workers died, and was not there when asked again",
        category=Category.LOCAL_ASKER,
        hint="asker.log in the run's log folder may say why; what was answered is stored: `--resume` asks the rest",
    )


def has_none(_line: ClientLine, _keys: Sequence[str]) -> None:
    """For who names no questions."""


def _start(folder: Path, orders: Orders, command: Sequence[str], *, again: bool) -> None:
    log_path = orders.log_path
    log_path.parent.mkdir(parents=True, exist_ok=True)
    told = {"folder": str(folder), "again": again, **orders.as_dict()}
    try:
        with opened_private(log_path) as log:
            subprocess.run(
                command,
                input=json.dumps(told).encode(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=START_S,
                check=True,
            )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise meeting.trouble(f"it did not start; see {log_path}") from error
