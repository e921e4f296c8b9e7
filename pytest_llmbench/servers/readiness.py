"""What a server tells of itself: its health, its properties, whether it still works. Standard library only.

These are the HTTP exchanges outside the package's HTTP door, because the supervisor imports no package.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection
from typing import Any

from pytest_llmbench.servers import listeners

ANSWER_S = 5.0
BODY_BYTES = 8 * 2**20
PORTS_TRIED = 16
_LOOK_AGAIN_S = 0.25
_STARTED = re.compile(rb"llmbench: process started at monotonic (\d+\.\d+)")
_LISTENING = re.compile(
    rb"(?:[\d.]+ I srv +\w+: |main: server is |llmbench: )listening on http://127\.0\.0\.1:(\d{1,5})\b.*"
)
"""A whole line of the server's own: with its time and place (2026), as of 2025, or from the embedded engine."""


class Announcements:
    """What the lines of a server's output say of its start; whatever else they say."""

    def __init__(self) -> None:
        self.started: float | None = None
        """When the server's program began (`time.monotonic`): the very first line, which is not the server's."""
        self.ports: list[int] = []
        """Ports it named, the last first. Hints, no more: a log repeats texts of the model file."""
        self._first = True

    def hear(self, line: bytes) -> None:
        """Take note of a line."""
        if self._first:
            self._first = False
            started = _STARTED.fullmatch(line)
            self.started = float(started[1]) if started else None
        elif (found := _LISTENING.fullmatch(line)) is not None:
            port = int(found[1])
            self.ports = [port, *(other for other in self.ports if other != port)][:PORTS_TRIED]


async def serving_port(pid: int, named: Collection[int], api_key: str) -> int | None:
    """The port on which this very process answers that it is ready; None where it does not yet.

    The kernel tells which ports are its own. Where it does not, a named port is believed that refuses who has no key
    and takes the one that nobody but our server knows.

    Args:
        pid: the server.
        named: ports that its log names.
        api_key: the key it was given.
    """
    found = listeners.ports_of(pid)
    for port in sorted(found.own) if found is not None else named:
        if await is_healthy(port) and (found is not None or await _knows_only(port, api_key)):
            return port
    return None


async def is_healthy(port: int) -> bool:
    """Whether `/health` answers 200 now."""
    return (await _status(port, "/health", ""))[0] == 200


async def read_properties(port: int, api_key: str) -> tuple[int, int, str]:
    """Tokens of context per slot, slots and the model's path, as the server tells them.

    Raises:
        ValueError: it does not tell them, or did not take our key.
    """
    status, body = await _status(port, "/props", api_key)
    try:
        told = json.loads(body) if status == 200 else {}
        return (
            int(told["default_generation_settings"]["n_ctx"]),
            int(told["total_slots"]),
            str(told.get("model_path", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"/props did not tell its context and slots ({type(error).__name__})") from error


async def works(port: int, api_key: str, bound_s: float) -> bool:
    """Whether a server that let somebody wait still does anything.

    It does when one of its slots moves on, or, with nothing to do, when it generates a token. The first look takes part
    in the server's own loop: a server that answers `/health` alone does not work.

    Args:
        port: where it listens.
        api_key: its key.
        bound_s: how long it may take to show it.
    """
    try:
        async with asyncio.timeout(bound_s):
            return await _moves(port, api_key, bound_s)
    except TimeoutError:
        return False


async def _moves(port: int, api_key: str, bound_s: float) -> bool:
    before: Any = None
    while True:
        status, body = await _status(port, "/slots", api_key, bound_s)
        slots = _parsed(body) if status == 200 else None
        if not isinstance(slots, list) or not any(isinstance(s, dict) and s.get("is_processing") for s in slots):
            return await _generates(port, api_key, bound_s)
        if before is not None and slots != before:
            return True
        before = slots
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _generates(port: int, api_key: str, bound_s: float) -> bool:
    asked = json.dumps({"prompt": "a", "n_predict": 1, "cache_prompt": False}).encode()
    return (await _status(port, "/completion", api_key, bound_s, asked))[0] > 0


async def _knows_only(port: int, api_key: str) -> bool:
    without = (await _status(port, "/props", ""))[0]
    return without in {401, 403} and (await _status(port, "/props", api_key))[0] == 200


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


async def _status(
    port: int, path: str, api_key: str, answer_s: float = ANSWER_S, body: bytes | None = None
) -> tuple[int, bytes]:
    """The status and body of an answer; 0 where none came in time."""
    try:
        async with asyncio.timeout(answer_s):
            return await _exchange(port, path, api_key, body)
    except (OSError, TimeoutError, ValueError):
        return 0, b""


async def _exchange(port: int, path: str, api_key: str, body: bytes | None) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.0", f"Host: 127.0.0.1:{port}"]
        lines += [f"Authorization: Bearer {api_key}"] if api_key else []
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body is not None else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        answer = b""
        while (data := await reader.read(65_536)) and len(answer) < BODY_BYTES:
            answer += data
    finally:
        writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split(None, 2)[1]) if head.startswith(b"HTTP/") else 0, content
