"""The process's end of one line: whole messages in, messages out gathered into one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from pytest_llmbench.asker import messages


class Line(asyncio.Protocol):
    """A worker's connection.

    Args:
        on_message: told of each message.
        on_end: told once when the line is over, for whatever reason.
    """

    def __init__(self, on_message: Callable[[Line, Mapping[str, Any]], None], on_end: Callable[[Line], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._begun = bytearray()
        self._leaving: list[bytes] = []
        self.gone = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether somebody is there."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if b"\n" not in data:
            if len(self._begun) > messages.FRAME_BYTES:
                self.close()
            return
        *lines, rest = self._begun.split(b"\n")
        self._begun = rest
        for line in lines:
            if self.open:
                self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        self._on_end(self)
        self.gone.set()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message; several of one turn of the loop leave together."""
        if not self._leaving:
            asyncio.get_running_loop().call_soon(self._flush)
        self._leaving.append(messages.encode(message))

    def close(self) -> None:
        """Hang up, once what was told has left."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _take(self, line: bytes | bytearray) -> None:
        try:
            self._on_message(self, messages.decode(bytes(line)))
        except messages.MalformedError as error:
            self.tell({"id": None, "error": messages.told_error(error)})
            self.close()

    def _flush(self) -> None:
        leaving, self._leaving = self._leaving, []
        if leaving and self.open:
            cast("asyncio.Transport", self._transport).write(b"".join(leaving))
