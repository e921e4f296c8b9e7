"""What a server tells of itself: its log, its health, its properties. Standard library only: the supervisor uses it.

The health check is the one HTTP exchange outside the package's HTTP door, because the supervisor imports no package.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
from pathlib import Path

ANSWER_S = 5.0
TAIL_LINES = 40
TAIL_BYTES = 16_384
LOG_BYTES = 2**20
BODY_BYTES = 8 * 2**20
_LISTENING = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")
_STARTED = re.compile(rb"llmbench: process started at monotonic ([\d.]+)")


def new_log(stem: str) -> tuple[Path, int]:
    """Create the next free `stem.N.log`, readable by its owner alone.

    Returns:
        Its path and a descriptor to write to.
    """
    for number in itertools.count(1):
        path = Path(f"{stem}.{number}.log")
        try:
            return path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        except FileExistsError:
            continue
    raise AssertionError("unreachable")


def log_tail(path: Path, secret: str) -> str:
    """The last lines of a log, without the server's key."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error.strerror})"
    lines = (text.replace(secret, "***") if secret else text).splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def read_start(path: Path) -> tuple[float | None, int | None]:
    """When the server's program began (`time.monotonic`), and its port; None for what the log does not tell yet.

    The last port named wins: a log repeats texts of the model file, which stand above the server's own line.
    """
    with path.open("rb") as log:
        text = log.read(LOG_BYTES)
    started, ports = _STARTED.search(text), _LISTENING.findall(text)
    return float(started[1]) if started else None, int(ports[-1]) if ports else None


async def is_healthy(port: int, api_key: str) -> bool:
    """Whether `/health` answers 200 now."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return (await _get(port, "/health", api_key))[0] == 200
    except (OSError, TimeoutError, ValueError):
        return False


async def read_properties(port: int, api_key: str) -> tuple[int, int, str]:
    """Tokens of context per slot, slots and the model's path, as the server tells them.

    Raises:
        ValueError: it does not tell them, or did not take our key.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            status, body = await _get(port, "/props", api_key)
        told = json.loads(body) if status == 200 else {}
        return (
            int(told["default_generation_settings"]["n_ctx"]),
            int(told["total_slots"]),
            str(told.get("model_path", "")),
        )
    except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"/props did not tell its context and slots ({type(error).__name__})") from error


async def _get(port: int, path: str, api_key: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {api_key}\r\n\r\n"
        writer.write(head.encode())
        answer = b""
        while (data := await reader.read(65_536)) and len(answer) < BODY_BYTES:
            answer += data
    finally:
        writer.close()
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split(None, 2)[1]) if head_bytes.startswith(b"HTTP/") else 0, body
