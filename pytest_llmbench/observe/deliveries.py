"""What became of the spans of a run's other processes: left in files, for the one that ends the run to tell.

xdist's workers end when nobody listens to them any more, and the process that asks APIs has no terminal: what they lost
is counted by the process that talks to the user.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.observe.outbox import Delivery

PATIENCE_S = 3.0
"""How long is waited for a process that is still sending: a little longer than it takes at most."""
_POLL_S = 0.05
_OTHERS = re.compile(r"[^a-z0-9]+")
"""What the name of a process may have, a worker's for instance, and that of a file has not."""


class Deliveries:
    """The files of one session of a run.

    Args:
        folder: where they are, beside the run's logs.
        began_at: when the session began; ISO 8601, UTC. What is older was left by one that was killed.
    """

    def __init__(self, folder: Path, began_at: str) -> None:
        self._folder = folder
        self._began_at = began_at

    def begin(self, process: str) -> bool:
        """A process sends from now on, and will `leave` what became of it; whether that could be written."""
        return self._write(process, {"pid": os.getpid()})

    def leave(self, process: str, done: Delivery) -> bool:
        """What became of its spans; whether that could be written."""
        told = {"sent": done.sent, "lost": done.lost, "reason": done.reason, "at": clock.now().isoformat()}
        return self._write(process, told)

    def take(self) -> list[Delivery]:
        """What all others left, once they have ended; nothing is left behind."""
        until = clock.monotonic() + PATIENCE_S
        while any(_is_sending(told) for _, told in self._found()) and clock.monotonic() < until:
            clock.sleep(_POLL_S)
        found = []
        for path, told in self._found():
            with contextlib.suppress(OSError):
                path.unlink()
            if str(told.get("at", "")) >= self._began_at:
                found.append(Delivery(int(told["sent"]), int(told["lost"]), str(told["reason"])))
        return found

    def _found(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self._folder.glob("traces-*.json")):
            with contextlib.suppress(OSError, ValueError):
                yield path, json.loads(path.read_text(encoding="utf-8"))

    def _write(self, process: str, told: dict[str, Any]) -> bool:
        path = self._folder / f"traces-{_OTHERS.sub('', process.lower()) or 'process'}.json"
        fresh = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(told), encoding="utf-8")
            fresh.replace(path)
        except OSError:
            return False
        return True


def _is_sending(told: dict[str, Any]) -> bool:
    """Whether the process has not left its last word, and is there to do so."""
    if "at" in told:
        return False
    try:
        os.kill(int(told["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
