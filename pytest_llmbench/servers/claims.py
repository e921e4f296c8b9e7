"""This process's claims on local servers. The supervisor is started when the first server is asked for."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.records import ServerInfo, ServerSpec
from pytest_llmbench.secret import Secret
from pytest_llmbench.servers import devices, engines, failures, orphans, supervisor
from pytest_llmbench.servers.connection import Connection, LostError, connect, connect_or_start
from pytest_llmbench.servers.memory_learned import Correction

STOP_S = 10.0
HANG_S = 30.0
"""How long a server that let somebody wait may take to show that it works."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What the supervisor knows of a server."""

    state: str
    """`running`, `stopped`, or `unknown` where it was never started."""
    starts: int = 0
    crash: Mapping[str, Any] | None = None
    """The last death that nobody asked for: pid, exit_code, log_tail, log_path."""


class Supervisor:
    """The session's local servers, as one process sees them. Its methods may be called from any thread.

    Args:
        folder: private to this session and the same in all its processes; it holds the socket and goes at the end.
        controller_pid: the process with which everything ends.
        engine: `auto`, `llama-server` or `embedded`, for specifications that do not say.
        binary: the configured llama-server; "" where none is.
        load_timeout_s: how long a server may take to be ready.
        capacity_bytes: memory for all servers; by default what is free when the first one starts.
        log_folder: where servers and supervisor write their logs; by default `folder`.
        learned: what earlier servers of an engine and build needed here beyond their estimates, if anything is known.
    """

    def __init__(
        self,
        folder: Path,
        controller_pid: int,
        *,
        engine: str,
        binary: str,
        load_timeout_s: float,
        capacity_bytes: int | None = None,
        log_folder: Path | None = None,
        learned: Callable[[str, str], Correction | None] = lambda _engine, _build: None,
    ) -> None:
        self._folder = folder.absolute()
        self._log_folder = (log_folder or folder).absolute()
        self._controller_pid = controller_pid
        self._engine = engine
        self._binary = binary
        self._load_timeout_s = load_timeout_s
        self._capacity_bytes = capacity_bytes
        self._learned = functools.cache(learned)
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        self._commands: dict[ServerSpec, engines.Command] = {}
        self._served: dict[ServerSpec, ServerInfo] = {}
        self._pending: dict[int, list[str]] = {}
        """Number of a claim that waits → its keys."""

    def build(self, spec: ServerSpec) -> str:
        """The build of the engine that serves the specification.

        Raises:
            ServerError: there is no such engine, or it cannot be used.
            MissingExtraError: the embedded engine is needed and not installed.
        """
        return self._command(spec).build

    def command(self, spec: ServerSpec) -> engines.Command:
        """How the specification is served; errors as of `build`."""
        return self._command(spec)

    def learned(self, spec: ServerSpec) -> Correction | None:
        """What earlier servers of that engine and build needed here beyond their estimates; errors as of `build`."""
        command = self._command(spec)
        return self._learned(command.engine, command.build)

    def claim(
        self, specs: Sequence[ServerSpec], *, wait: bool, unwanted: Callable[[], bool] = lambda: False
    ) -> list[ServerInfo]:
        """Get running servers, all or nothing; started, or started again, where they do not run.

        Claims are counted: a server is free when as many are released. A process that holds a claim is never made to
        wait for another one, because others could be waiting for what it holds.

        Args:
            specs: the servers; equal ones are one server.
            wait: wait for others to let go of memory; else be refused.
            unwanted: whether `withdraw` was called for it already; asked once it can be withdrawn.

        Raises:
            ServerError: a server did not start (category, exit code and log tail say why), or the claim was refused or
                withdrawn.
            ModelFileError: a model is missing or not a whole GGUF.
            MissingExtraError: no engine is installed.
        """
        commands = [self._command(spec) for spec in specs]
        orders = [self._order(spec, command) for spec, command in zip(specs, commands, strict=True)]
        try:
            granted = self._ask(lambda line: self._granted(line, orders, wait, unwanted))
        except _AnswerError as error:
            raise self._claim_failed(specs, orders, error.facts) from None
        infos = [_info(*each) for each in zip(specs, commands, granted, strict=True)]
        self._served.update(zip(specs, infos, strict=True))
        return infos

    def release(self, specs: Sequence[ServerSpec]) -> None:
        """End one claim on each; the servers stay loaded until the room is needed or the session ends."""
        line, keys = self._connection, [self._key(spec) for spec in specs if spec in self._commands]
        if line is not None and keys:
            with contextlib.suppress(LostError):  # claims end with their line
                line.ask("release", keys=keys)

    def withdraw(self, spec: ServerSpec) -> None:
        """Take back the claims on a server that this process still waits for: each ends with a `ServerError`.

        A server that nobody else waits for is not loaded further.
        """
        line = self._connection
        for number, keys in list(self._pending.items()):
            if line is not None and self._key(spec) in keys:
                with contextlib.suppress(LostError):
                    line.send("cancel", request=number, keys=keys)

    def status(self, spec: ServerSpec) -> ServerStatus:
        """What is known of the server of a specification; never starts anything.

        Raises:
            ServerError: the supervisor died.
        """
        line = self._connection
        if line is None or spec not in self._commands:
            return ServerStatus("unknown")
        try:
            info = self._served.get(spec)
            return ServerStatus(**line.ask("status", key=self._key(spec), pid=info.pid if info else None))
        except LostError:
            raise _supervisor_died(spec.model.label) from None

    def suspect(self, spec: ServerSpec, *, bound_s: float = HANG_S) -> None:
        """Have the server that this process was last given looked at, because it let somebody wait.

        It is killed where it does nothing any more; `crash` then tells so.

        Args:
            spec: the server.
            bound_s: how long it may take to show that it works.
        """
        line, info = self._connection, self._served.get(spec)
        if line is None or info is None:
            return
        with contextlib.suppress(LostError, TimeoutError):
            found = line.send("suspect", key=self._key(spec), pid=info.pid, bound_s=bound_s)[1]
            found.result(bound_s + STOP_S)

    def crash(self, spec: ServerSpec, *, settle_s: float = 1.0) -> ServerError | None:
        """Why the server that this process was last given is gone; None while it lives.

        Ask after an exchange with it broke: the end of a process is known a moment after the end of its connections.

        Args:
            spec: the server.
            settle_s: how long to look before saying that it lives.
        """
        if (info := self._served.get(spec)) is None:
            return None
        deadline = clock.monotonic() + settle_s
        while True:
            try:
                found = self.status(spec).crash
            except ServerError as died:
                return died
            if found is not None and found["pid"] == info.pid:
                return failures.crash(spec.model.label, found)
            if clock.monotonic() >= deadline:
                return None
            clock.sleep(_POLL_S)

    def shutdown(self) -> None:
        """Stop every server of the session and the supervisor; returns when they are gone.

        One that has not ended after 10 s is killed, and so is what its servers left outside its reach.
        """
        with self._connecting:
            line, self._connection = self._connection, None
            if line is None or line.lost:
                line = connect(self._folder, patience_s=STOP_S)
        if line is not None:
            with contextlib.suppress(LostError):
                line.send("shutdown")
                if not line.wait_closed(STOP_S):
                    line.end_peer()
            line.close()
        if self._folder.exists():
            orphans.end_orphans()
            supervisor.remove_traces(self._folder)

    def close(self) -> None:
        """End this process's claims. The servers end with the controller."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def evict(self, stay: Sequence[ServerSpec]) -> None:
        """Stop all servers that nobody claims but these, and wait until they are gone: their memory is free then."""
        line = self._connection
        if line is None or line.lost:
            return  # nothing was claimed here, or all is gone
        with contextlib.suppress(LostError):
            line.wait(line.send("evict", keys=[self._key(spec) for spec in stay])[1])

    def _ask(self, ask: Callable[[Connection], Any]) -> Any:
        """Ask, and once more over a new line when the supervisor went meanwhile."""
        try:
            return ask(self._line())
        except LostError:
            with contextlib.suppress(LostError):
                return ask(self._line())
        raise _supervisor_died("this session")

    def _line(self) -> Connection:
        with self._connecting:
            if self._connection is None or self._connection.lost:
                if self._connection is not None:
                    self._connection.close()
                capacity = engines.free_bytes() if self._capacity_bytes is None else self._capacity_bytes
                self._connection = connect_or_start(self._folder, self._log_folder, self._controller_pid, capacity)
            return self._connection

    def _granted(
        self, line: Connection, orders: list[dict[str, Any]], wait: bool, unwanted: Callable[[], bool]
    ) -> list[dict[str, Any]]:
        keys = [order["key"] for order in orders]
        number, answer = line.send("claim", orders=orders, wait=wait)
        self._pending[number] = keys
        try:
            if unwanted():
                line.send("cancel", request=number, keys=keys)
            told = line.wait(answer)
        except KeyboardInterrupt:
            with contextlib.suppress(LostError):
                line.send("cancel", request=number, keys=keys)
            raise
        finally:
            self._pending.pop(number, None)  # numbers begin anew with another line
        if "error" in told:
            raise _AnswerError(told["error"])
        return list(told["ok"])

    def _command(self, spec: ServerSpec) -> engines.Command:
        if spec not in self._commands:
            self._commands[spec] = engines.command(spec, engine=self._engine, binary=self._binary)
        return self._commands[spec]

    def _key(self, spec: ServerSpec) -> str:
        """The same for equal servers in all processes of the session."""
        command = self._command(spec)
        identity = [command.argv, command.build, spec.model.sha256]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def _order(self, spec: ServerSpec, command: engines.Command) -> dict[str, Any]:
        name = re.sub(r"[^\w.-]+", "-", spec.model.name.rpartition("/")[2])[:60]
        key = self._key(spec)
        return {
            "key": key,
            "argv": list(command.argv),
            "need_bytes": devices.main_memory_bytes(spec, command, self._learned(command.engine, command.build)),
            "log": str(self._log_folder / f"{name}-{key[:6]}"),
            "load_timeout_s": self._load_timeout_s,
            "context": spec.context,
            "slots": spec.slots,
        }

    def _claim_failed(
        self, specs: Sequence[ServerSpec], orders: list[dict[str, Any]], facts: Mapping[str, Any]
    ) -> ServerError:
        names = {order["key"]: spec.model.label for spec, order in zip(specs, orders, strict=True)}
        what = names.get(facts.get("key", ""), ", ".join(names.values()))
        if facts["kind"] not in {"refused", "stopped"}:
            return failures.start_failure(what, facts)
        return ServerError(
            f"no server for {what}: {facts['message']}",
            category=Category.LOCAL_REFUSED,
            hint="declare all models of a test in its marker, ask for a smaller context, or run fewer workers",
        )


class _AnswerError(Exception):
    """The supervisor said no; `facts` as it sent them."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts.get("message", ""))
        self.facts = facts


def _info(spec: ServerSpec, command: engines.Command, told: Mapping[str, Any]) -> ServerInfo:
    return ServerInfo(
        engine=command.engine,
        base_url=f"http://127.0.0.1:{told['port']}",
        api_key=Secret(told["api_key"]),
        pid=told["pid"],
        started_at=told["started_at"],
        model_sha256=spec.model.sha256,
        build=command.build,
        binary=command.binary,
        load_s=told["load_s"],
        estimated_bytes=engines.estimate(spec, command.engine).total_bytes,
        context=told["context"],
        slots=told["slots"],
        log_path=told["log_path"],
        model_path=told["model_path"],
        command=command.argv,
    )


def _supervisor_died(what: str) -> ServerError:
    return ServerError(
        f"the process that looks after the servers of {what} died, and its servers with it",
        category=Category.LOCAL_SUPERVISOR,
        hint="it is started again at the next use; supervisor.log in the log folder may say why it died",
    )
