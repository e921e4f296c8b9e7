"""The provider in a thread of this process, for as long as a `with` block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pytest_llmbench.demo.calls import Call, Counts
from pytest_llmbench.demo.connection import Connection
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.demo.rate_limit import RateLimit
from pytest_llmbench.demo.script import Reaction, Script
from pytest_llmbench.demo.site import Site
from pytest_llmbench.records import Limits

BACKLOG = 1024


class DemoProvider:
    """A provider on a loopback port of the system's choice, in a thread of its own, for as long as the `with` block.

    It speaks OpenAI's chat completions and Anthropic's messages, and tells its log as JSON under `/demo/log`.

    Args:
        script: an `Answer`, `Failure` or `Page`; a sequence, one a request, of which the last repeats; or a function
            from the request's body to one of them. By default the rules of `personas` answer, which for models they do
            not know is an echo.
        traits: how the rules behave: fields of `Conduct`.
        limits: what callers are held to; over them they get a 429.
        api_key: where given, other keys get a 401.
        models: what `/v1/models` lists; by default `PERSONAS`.
        port: 0 lets the system choose.
        service_s: where given, chats are served one at a time, first come, first served, and each takes this long
            before its answer begins: a queue whose waits theory knows.
        batch_s: how long a batch takes from its submission until it is ready.
        log_size: how many calls `log` keeps at least; of more, the oldest are dropped.
    """

    def __init__(
        self,
        script: Script | Reaction | None = None,
        *,
        traits: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        api_key: str = "",
        models: Sequence[str] = tuple(PERSONAS),
        port: int = 0,
        service_s: float = 0.0,
        batch_s: float = 0.0,
        log_size: int = 100_000,
    ) -> None:
        self.url = ""
        """`http://127.0.0.1:PORT`, known inside the `with` block."""
        self._site = Site(
            script,
            traits=traits,
            api_key=api_key,
            models=models,
            service_s=service_s,
            batch_s=batch_s,
            limit=RateLimit(limits) if limits else None,
            log_size=log_size,
        )
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="llmbench-demo", daemon=True)
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._failed is not None:
            raise self._failed  # a bug in the script: the client saw only a closed connection

    @property
    def log(self) -> list[Call]:
        """Every request received so far, oldest first."""
        return self._site.log

    @property
    def counts(self) -> Counts:
        """What was received and answered so far."""
        return self._site.counts

    def chats(self) -> list[Call]:
        """The chat requests received so far, oldest first."""
        return [call for call in self.log if call.is_chat]

    def follow(self, script: Script | Reaction | None) -> None:
        """Go on with another script; None: by rule."""
        self._site.follow(script)

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._note_failure)
        try:
            server = await loop.create_server(lambda: Connection(self._site), "127.0.0.1", self._port, backlog=BACKLOG)
        except OSError as error:
            self._failed = error
            self._listening.set()
            return
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        await self._stopping.wait()
        await hang_up(server, self._site)

    def _note_failure(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:  # noqa: ARG002 - asyncio's signature
        self._failed = context.get("exception") or RuntimeError(context["message"])


async def hang_up(server: asyncio.Server, site: Site) -> None:
    """Listen no longer, break off all connections, and wait until they are gone."""
    # A connection being accepted is a task of the loop's; it fails, or leaks its socket, where the server closes first.
    while accepting := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.gather(*accepting, return_exceptions=True)
    server.close()
    while site.connections:
        for connection in list(site.connections):
            connection.abort()
        await asyncio.sleep(0)
