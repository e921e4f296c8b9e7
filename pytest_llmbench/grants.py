"""What a test holds of this machine while it runs: the machine itself, claims on servers, a pause of all asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_llmbench.records import ServerInfo, ServerSpec

if TYPE_CHECKING:
    from pytest_llmbench.asker.question import Asker
    from pytest_llmbench.servers.claims import Supervisor
    from pytest_llmbench.servers.machine import MachineLock


class Grants:
    """Of the test that runs now in this process.

    Args:
        machine: gives the lock of the machine.
        supervisor: gives what starts servers.
        asker: gives what asks API models; None where this session asks none.
        say: told why a test waits.
        timeout_s: how long one waits for the machine.
    """

    def __init__(
        self,
        machine: Callable[[], MachineLock],
        supervisor: Callable[[], Supervisor],
        asker: Callable[[], Asker | None],
        say: Callable[[str], None],
        *,
        timeout_s: float,
    ) -> None:
        self._machine = machine
        self._supervisor = supervisor
        self._asker = asker
        self._say = say
        self._timeout_s = timeout_s
        self._paused: Asker | None = None
        self._claimed: list[ServerSpec] = []

    def begin(self, declared: Sequence[ServerSpec], *, exclusive: bool) -> None:
        """Get a test the machine and its declared servers, all or nothing.

        Args:
            declared: the servers of the models that it names.
            exclusive: whether it has the machine to itself.

        Raises:
            InfraError: the machine was not free in time, or a server did not start.
        """
        self._machine().acquire(exclusive=exclusive, timeout_s=self._timeout_s, on_wait=self._say)
        if exclusive and (asker := self._asker()) is not None:
            asker.pause()  # parsing streams costs CPU, too
            self._paused = asker
        if declared:
            self._supervisor().claim(declared, wait=True)
            self._claimed += declared

    def served(self, spec: ServerSpec, *, in_turn: bool, unwanted: Callable[[], bool] = lambda: False) -> ServerInfo:
        """The running server of `spec`, started where needed; it stays the test's until the test ends.

        Args:
            spec: the server.
            in_turn: whether the test's models run one after the other: it holds one server at a time, so that it may
                wait for room.
            unwanted: whether nobody wants it any more; see `Supervisor.claim`.

        Raises:
            ServerError: it did not start, or there is no room for it.
        """
        for other in {*self._claimed} - {spec} if in_turn else ():
            self.let_go(other)
        info = self._supervisor().claim([spec], wait=in_turn, unwanted=unwanted)[0]
        self._claimed.append(spec)
        return info

    def let_go(self, spec: ServerSpec) -> None:
        """End the test's claims on a server before the test ends: it stays loaded until its room is needed."""
        ours = [claimed for claimed in self._claimed if claimed == spec]
        self._claimed = [claimed for claimed in self._claimed if claimed != spec]
        if ours:
            self._supervisor().release(ours)

    def end(self) -> None:
        """Let go of all that the test was granted."""
        claimed, self._claimed = self._claimed, []
        try:
            if claimed:
                self._supervisor().release(claimed)
        finally:
            machine = self._machine()
            if machine.held:
                machine.release()
            paused, self._paused = self._paused, None
            if paused is not None:
                paused.resume()
