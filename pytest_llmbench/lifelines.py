"""A line to another process of ours, which lives as long as somebody is on it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from abc import ABC, abstractmethod

SEND_S = 10
"""Sending to a stopped process fails after so long; by default it waits for ever once buffers are full."""


class Lifeline(ABC):
    """An open line, read by a thread of its own. All that was asked for over it ends when it closes.

    Args:
        line: the socket.
        name: of the thread.
    """

    def __init__(self, line: socket.socket, name: str) -> None:
        self.peer_pid = 0
        """Of the process at the other end; 0 while it is not known, or where it is this one."""
        self._line = line
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_S, 0))
        self._lost = False
        self._turn = threading.Lock()
        """Held while something is sent."""
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)

    @property
    def lost(self) -> bool:
        """Whether it broke or was closed."""
        return self._lost

    def end_peer(self) -> None:
        """kill -9 of a process that does not answer."""
        if self.peer_pid and not self._lost:  # the line is open: no other process can have its pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.peer_pid, signal.SIGKILL)
        self._lost = True

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the other side hangs up; whether it did."""
        self._reader.join(timeout_s)
        return not self._reader.is_alive()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    @abstractmethod
    def _read(self) -> None:
        """Take what comes until the other side hangs up, then see that nobody waits for more."""
