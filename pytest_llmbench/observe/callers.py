"""Who is connected to the server of metrics: so many at once, and whoever is silent makes room for who comes next."""

from __future__ import annotations

import contextlib
import socket
import threading


class Callers:
    """Connections by whether they ask for something; may be used by several threads.

    Args:
        at_once: how many there may be.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turn = threading.Lock()
        self._asking: set[socket.socket] = set()
        self._silent: dict[socket.socket, None] = {}
        """The one that has been silent for longest comes first."""

    def comes(self, caller: socket.socket) -> bool:
        """Whether there is room for another one; where all are taken, the longest silence is hung up on."""
        with self._turn:
            if len(self._asking) + len(self._silent) >= self._at_once:
                if not self._silent:
                    return False
                longest = next(iter(self._silent))
                del self._silent[longest]
                with contextlib.suppress(OSError):  # it went by itself meanwhile
                    longest.shutdown(socket.SHUT_RDWR)
            self._silent[caller] = None
            return True

    def falls_silent(self, caller: socket.socket) -> None:
        """It has its answer, or has not asked yet."""
        with self._turn:
            if caller in self._asking:
                self._asking.remove(caller)
                self._silent[caller] = None

    def asks(self, caller: socket.socket) -> None:
        """It has asked for something whole."""
        with self._turn:
            if caller in self._silent:
                del self._silent[caller]
                self._asking.add(caller)

    def goes(self, caller: socket.socket) -> None:
        """It is connected no more."""
        with self._turn:
            self._asking.discard(caller)
            self._silent.pop(caller, None)
