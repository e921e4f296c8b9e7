"""What can be measured, and where what was measured is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from pytest_llmbench import http
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.errors import InfraError, ServerError, WireError
from pytest_llmbench.observe.calls import CallBegun
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.records import ServerInfo, ServerSpec
from pytest_llmbench.store import Store

SeenBy = tuple[Observer, CallBegun]
"""Who looks on, and what all calls to one model have in common."""


class Subject(Protocol):
    """A model that can be measured: an address, and a server whose process can be watched."""

    name: str
    deadlines: http.Deadlines

    def server(self) -> ServerInfo: ...

    def server_spec(self) -> ServerSpec | None:
        """What its server was ordered to be; None where it is somebody else's."""

    def served_with(self, **settings: Any) -> Self:
        """The same model behind a server with other settings.

        Raises:
            UsageError: its server is somebody else's.
        """

    def let_go(self) -> None:
        """End the claims on its server: it may go where its room is needed."""

    def endpoint_at(self, info: ServerInfo) -> Endpoint: ...

    def identity(self) -> Mapping[str, Any]: ...

    def seen_by(self) -> SeenBy | None:
        """Who is told of what is sent to it, once nothing is timed; None: nobody."""

    def gone(self, error: WireError) -> ServerError | None: ...

    def explain(self, error: WireError) -> InfraError: ...


@dataclass(frozen=True, slots=True)
class Book:
    """Where a measurement is written, and under which run."""

    store: Store
    run_id: str
    host_fingerprint: str
    keep_prompts: bool = True
    resuming: bool = False
    memory_bytes: int | None = None
    """What this machine, or the container we are in, has."""
    retakes: int = 2
    """How often a repetition is taken again that was timed while others used the machine."""
    monitor_interval_s: float = 1.0
    say: Callable[[str], None] = field(default=lambda _text: None, compare=False)
    """Tells the user something that cannot wait for the report."""
