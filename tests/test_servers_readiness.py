"""A server is ready when it itself says so on its own port; what its log says is no evidence."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_scripts import script
from server_sessions import ServerSession, spec_of

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import listeners, readiness
from pytest_llmbench.servers.process import Order, ServerProcess, StartFailedError
from pytest_llmbench.servers.readiness import Announcements, serving_port

LINES = {
    "0.00.221.851 I srv  llama_server: listening on http://127.0.0.1:41097": 41097,
    "0.00.286.150 I srv          init: listening on http://127.0.0.1:39847": 39847,
    "main: server is listening on http://127.0.0.1:8080 - starting the main loop": 8080,
    "llmbench: listening on http://127.0.0.1:39847": 39847,
    "0.00.1 I llama_model_loader: - kv 3: general.name str = listening on http://127.0.0.1:1": None,
    "listening on http://127.0.0.1:1": None,
    "general.name = 0.00.221.851 I srv  llama_server: listening on http://127.0.0.1:1": None,
    "0.00.221.851 I srv  llama_server: listening on http://10.0.0.1:80": None,
}


@pytest.fixture
def session() -> Iterator[ServerSession]:
    with ServerSession() as session:
        yield session


@contextmanager
def somebody(*, key: str | None = None) -> Iterator[int]:
    """A server of somebody else, which says that it is ready; its port."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            allowed = key is None or self.path == "/health" or self.headers.get("Authorization") == f"Bearer {key}"
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"status": "ok"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    seen: list[tuple[str, str | None]] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert ("/props", "Bearer ours") not in seen or key is not None


@pytest.mark.parametrize("line", LINES)
def test_only_the_servers_own_line_names_a_port(line: str) -> None:
    """Metadata that quotes such a line stand in a line of another form."""
    told = Announcements()
    told.hear(b"llmbench: process started at monotonic 12.5")
    told.hear(line.encode())
    assert told.started == 12.5
    assert told.ports == ([] if LINES[line] is None else [LINES[line]])


def test_only_the_first_line_tells_when_the_process_started() -> None:
    """The server itself is not believed about it."""
    told = Announcements()
    told.hear(b"hello")
    told.hear(b"llmbench: process started at monotonic 12.5")
    assert told.started is None


def test_a_log_that_names_many_ports_is_remembered_in_part() -> None:
    """The last ones, each once."""
    told = Announcements()
    for port in [0, *range(1000), 5, 5]:
        told.hear(f"llmbench: listening on http://127.0.0.1:{port}".encode())
    assert told.ports[:3] == [5, 999, 998]
    assert len(told.ports) == readiness.PORTS_TRIED


@pytest.mark.skipif(listeners.ports_of(os.getpid()) is None, reason="the system does not tell who listens where")
def test_the_system_tells_whose_a_port_is() -> None:
    """Ours, that of a child, and one that somebody shares with us."""
    with socket.socket() as alone, socket.socket() as shared, socket.socket() as outside:
        for each in (alone, shared):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(("127.0.0.1", 0))
            each.listen()
        outside.bind(("0.0.0.0", 0))
        outside.listen()
        found = listeners.ports_of(os.getpid())
        assert found is not None
        assert {alone.getsockname()[1], shared.getsockname()[1]} <= found.own
        assert outside.getsockname()[1] not in found.own
        nobody = listeners.ports_of(2**22 + 1)
        assert nobody == listeners.Ports()


def metadata_naming(port: int) -> str:
    """A server that logs 2 MiB of metadata, then a line that names somebody's port, then serves on its own."""
    return (
        "print('x' * 2**21, file=sys.stderr, flush=True)\n"
        f"print('main: server is listening on http://127.0.0.1:{port} - starting', file=sys.stderr, flush=True)\n"
    )


def test_a_port_that_the_log_names_is_not_asked_when_it_is_somebody_elses(
    session: ServerSession, smollm2: ModelFile, tmp_path: Path
) -> None:
    """An orphan on that port answers that it is ready; it is never taken for the server."""
    with somebody() as port:
        engine = script(tmp_path, serves=True, before=metadata_naming(port))
        info = session.client(engine="llama-server", binary=str(engine)).claim([spec_of(smollm2)], wait=True)[0]
        assert info.base_url != f"http://127.0.0.1:{port}"


def started(order: Order) -> dict[str, object]:
    """Start a server within this process, and stop it; what it told."""

    async def start() -> dict[str, object]:
        server = ServerProcess(order)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, server.reap)
        try:
            return await server.ensure()
        finally:
            await server.stop()

    return asyncio.run(start())


def order_of(engine: Path, folder: Path, **changes: object) -> Order:
    settings = {"load_timeout_s": 60.0, "context": 512, "slots": 1, **changes}
    return Order("key", [str(engine)], 1, str(folder / "log"), **settings)  # type: ignore[arg-type]


def test_where_the_system_does_not_tell_a_port_has_to_know_our_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open server and one with another key are passed over; the port beyond the first MiB of the log is found."""
    monkeypatch.setattr(listeners, "ports_of", lambda _: None)
    with somebody() as open_port, somebody(key="theirs") as locked_port, somebody(key="ours") as our_port:
        assert asyncio.run(serving_port(1, [open_port, locked_port], "ours")) is None
        assert asyncio.run(serving_port(1, [open_port, locked_port, our_port], "ours")) == our_port
    engine = script(tmp_path, serves=True, before="print('x' * 2**21, file=sys.stderr, flush=True)", needs_key=True)
    assert started(order_of(engine, tmp_path))["context"] == 512


def test_a_server_that_listens_nowhere_says_so_when_time_is_up(tmp_path: Path) -> None:
    """The error tells how far it got."""
    engine = script(tmp_path, before="import time; time.sleep(600)")
    with pytest.raises(StartFailedError) as raised:
        started(order_of(engine, tmp_path, load_timeout_s=2.0))
    assert raised.value.facts["kind"] == "timeout"
    assert "listens on no port" in raised.value.facts["message"] or "names no port" in raised.value.facts["message"]


@pytest.mark.skipif(listeners.ports_of(os.getpid()) is None, reason="the system does not tell who listens where")
def test_a_port_that_somebody_shares_is_refused(session: ServerSession, smollm2: ModelFile, tmp_path: Path) -> None:
    """With SO_REUSEPORT the kernel would give part of the requests to the other one."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        shares = (
            "import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); "
            f"s.bind(('127.0.0.1', {other.getsockname()[1]})); s.listen(); time.sleep(600)"
        )
        client = session.client(engine="llama-server", binary=str(script(tmp_path, before=shares)))
        with pytest.raises(ServerError, match="another process listens on port") as raised:
            client.claim([spec_of(smollm2)], wait=True)
    assert raised.value.category is Category.LOCAL_PORT
