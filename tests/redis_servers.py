"""A real redis-server on the loopback interface, in a folder of its own: to be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

PASSWORD = "a-password-of-redis-4711"
_READY_S = 10.0


class RedisServer:
    """One server; its data outlives it, as with every write on disk.

    Args:
        program: the path of redis-server.
        folder: where it keeps its data.
        password: what clients must give; empty: nothing.
        *options: further ones, as on its command line.
    """

    def __init__(self, program: str, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.password = password
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        kept = ("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", *kept, *options]
        if password:
            self._command += ["--requirepass", password]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """With its password."""
        before = f":{self.password}@" if self.password else ""
        return f"redis://{before}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """To look at what lies in it."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Until it answers."""
        log = (self.folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + _READY_S
        while not self._answers():
            assert time.monotonic() < end, (self.folder / "redis.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.exceptions.RedisError:
            return False

    def kill(self) -> None:
        """As by kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, *, signal: int) -> None:
        """Send it a signal: SIGSTOP makes it silent, SIGCONT speak again."""
        assert self._process is not None
        self._process.send_signal(signal)


@contextmanager
def running(program: str, folder: Path, *options: str, password: str = "") -> Iterator[RedisServer]:
    """A server that answers; it is killed with the block."""
    server = RedisServer(program, folder, *options, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()
