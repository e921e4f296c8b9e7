"""The way to the server and back over real sockets: connecting, sending, reading slowly, leaving."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from asking import PATIENT
from raw_servers import background_loop, raw_server, read_request, saying, unix_server

from pytest_llmbench import http
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.http import connecting

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LARGE = b"x" * 30_000_000
"""More than all socket buffers together."""


@pytest.fixture(autouse=True, params=["asyncio", "uvloop"])
def _on_both_loops(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with background_loop(request.param):
        yield


def get(url: str, **options) -> http.Fetched:
    return http.run(http.fetch(http.Request("GET", url, **options), PATIENT))


def post(url: str, body: bytes) -> http.Fetched:
    return http.run(http.fetch(http.Request("POST", url, {}, body), PATIENT))


def head_sent(url_of_address, **headers: str) -> list[str]:
    """The lines of the request's head as a server gets them."""
    heads = []

    def play(connection):
        heads.append(read_request(connection)[0])
        connection.sendall(OK)

    with raw_server(play) as address:
        get(url_of_address(address), headers=headers)
    return heads[0].decode().split("\r\n")


def test_the_request_says_what_is_needed_and_no_more():
    """One connection, no compression, and the caller's headers before ours."""
    lines = head_sent(lambda address: f"http://{address}/v1/models?a=b c".replace(" ", "%20"), Accept="text/x")
    assert lines[0] == "GET /v1/models?a=b%20c HTTP/1.1"
    assert sorted(line.partition(":")[0] for line in lines[1:]) == [
        "accept",
        "accept-encoding",
        "connection",
        "host",
        "user-agent",
    ]
    assert {"accept: text/x", "accept-encoding: identity", "connection: close"} <= set(lines)


def test_a_user_name_in_the_url_becomes_basic_auth():
    """Unless the caller has an Authorization header."""
    assert "authorization: Basic dXNlcjpww6Rzcw==" in head_sent(lambda address: f"http://user:p%C3%A4ss@{address}/")
    assert "authorization: Bearer x" in head_sent(
        lambda address: f"http://user:pass@{address}/", authorization="Bearer x"
    )


def test_a_path_beyond_ascii_is_percent_encoded():
    """As browsers do."""
    assert head_sent(lambda address: f"http://{address}/grüße?ü")[0] == "GET /gr%C3%BC%C3%9Fe?%C3%BC HTTP/1.1"


@pytest.mark.parametrize(
    "url", ["http://", "http:///path", "http://host:99999/", "http://host:x/", "http://a b/", "http://h/\r\nX: y", ""]
)
def test_a_url_that_names_no_server_is_refused_before_anything_is_sent(url):
    """With advice; password and query, if any, are not repeated."""
    with pytest.raises(UsageError, match="is not a URL of a server"):
        get(url)
    with pytest.raises(UsageError) as caught:
        get("ftp://user:secret@host/?key=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["x y", "x:", "x\r\ny", "", "ü"])
def test_a_header_name_that_is_none_is_refused(name):
    """It could smuggle in another header."""
    with pytest.raises(UsageError, match="cannot carry"):
        get("http://127.0.0.1:1/", headers={name: "value"})


def test_a_large_request_counts_as_written_when_the_socket_has_taken_its_last_byte():
    """A server that reads late would otherwise look like a model that thinks long."""
    received = []

    def play(connection):
        time.sleep(0.5)
        received.append(len(read_request(connection)[1]))
        connection.sendall(OK)

    with raw_server(play) as address:
        stamps = post(f"http://{address}/", LARGE).stamps
    assert received == [len(LARGE)]
    assert stamps.written_at - stamps.connected_at >= 0.45
    assert stamps.written_at <= stamps.headers_at


@pytest.mark.parametrize("chunk_bytes", [1, 100_000])
def test_an_answer_that_comes_while_we_still_send_is_the_answer(chunk_bytes):
    """413: the server reads a little, says no and hangs up; the request was never written whole."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo big"

    def play(connection):
        connection.recv(chunk_bytes)
        connection.sendall(refusal)
        time.sleep(0.2)

    with raw_server(play) as address:
        fetched = post(f"http://{address}/", LARGE)
    assert (fetched.status, fetched.body, fetched.stamps.written_at) == (413, b"too big", None)


def test_a_server_that_hangs_up_while_we_send_has_broken_the_connection():
    """Without an answer there is nothing else to tell."""
    with raw_server(lambda connection: connection.recv(1000)) as address, pytest.raises(WireError) as caught:
        post(f"http://{address}/", LARGE)
    assert caught.value.category is Category.NETWORK_RESET


def test_a_reader_that_lags_behind_stops_the_server():
    """Memory holds a megabyte or two, the kernel's buffers the rest; nothing is lost when reading goes on."""
    sent = [0]
    whole = 80_000_000

    def play(connection):
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole)
        for _ in range(whole // 100_000):
            connection.sendall(b"y" * 100_000)
            sent[0] += 100_000

    async def lag(url):
        async with http.open_exchange(http.Request("GET", url), PATIENT, streamed=False) as exchange:
            chunks = exchange.chunks(max_bytes=whole)
            received = len((await anext(chunks))[1])
            await asyncio.sleep(1)
            while_lagging = sent[0]
            async for _, data in chunks:
                received += len(data)
            return while_lagging, received

    with raw_server(play) as address:
        while_lagging, received = http.run(lag(f"http://{address}/"))
    assert while_lagging < whole / 2
    assert received == whole


def test_cancelling_closes_the_socket_at_once():
    """The server can stop generating; nobody waits for the answer."""
    asked, hung_up = threading.Event(), threading.Event()

    def play(connection):
        read_request(connection)
        asked.set()
        connection.settimeout(20)
        if connection.recv(1) == b"":
            hung_up.set()

    async def cancelled(url):
        task = asyncio.create_task(http.fetch(http.Request("GET", url), PATIENT))
        await asyncio.to_thread(asked.wait, 20)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    with raw_server(play) as address:
        assert http.run(cancelled(f"http://{address}/"))
        assert hung_up.wait(20)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_exchanges_leave_no_file_descriptors_behind():
    """Completed, refused, broken and cancelled ones."""
    with raw_server(saying(OK)) as address, raw_server(lambda connection: connection.recv(1)) as broken:
        get(f"http://{address}/")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            get(f"http://{address}/")
            with pytest.raises(WireError):
                get(f"http://{broken}/")
            with pytest.raises(WireError):
                get(f"http://127.0.0.1:{_closed_port()}/")
            with pytest.raises(TimeoutError):
                http.run(asyncio.wait_for(http.fetch(http.Request("GET", f"http://{address}/"), PATIENT), 0))
        assert _settled(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 1)


def test_a_unix_socket_is_reached_by_its_percent_encoded_path(tmp_path):
    """As llama-server offers it: no port, and no browser that could reach it."""
    path = tmp_path / "server.sock"
    url = f"http+unix://{str(path).replace('/', '%2F')}/health"
    with unix_server(str(path), saying(OK)):
        assert get(url).body == b"ok"
    with pytest.raises(WireError) as caught:
        get(url)
    assert caught.value.category is Category.NETWORK_REFUSED


def test_a_unix_path_that_is_too_long_says_so():
    """The kernel takes 107 bytes."""
    with pytest.raises(WireError, match="too long") as caught:
        get(f"http+unix://{'%2Fx' * 120}/health")
    assert caught.value.category is Category.NETWORK_REFUSED


@contextmanager
def _ipv6_server(play):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with raw_server(play, host="::1") as address:
        yield address


def test_an_ipv6_address_is_reached():
    """In brackets, as URLs have it; the Host header has them too."""
    heads = []

    def play(connection):
        heads.append(read_request(connection)[0])
        connection.sendall(OK)

    with _ipv6_server(play) as address:
        assert get(f"http://{address}/").body == b"ok"
    assert f"host: {address}" in heads[0].decode()


def test_a_host_is_reached_though_its_first_address_refuses(monkeypatch):
    """`localhost` is two addresses, and many servers listen on one of them."""
    with raw_server(saying(OK)) as address:
        port = int(address.rpartition(":")[2])
        _resolves_to(monkeypatch, [("127.0.0.1", _closed_port()), ("127.0.0.1", port)])
        assert get(f"http://some.host:{port}/").body == b"ok"


def test_a_host_is_reached_though_its_first_address_is_silent(monkeypatch):
    """The next one is tried beside it after a moment, long before the connect deadline."""
    with _silent_port() as silent, raw_server(saying(OK)) as address:
        port = int(address.rpartition(":")[2])
        _resolves_to(monkeypatch, [("127.0.0.1", silent), ("127.0.0.1", port)])
        assert get("http://some.host/").body == b"ok"


def test_a_host_none_of_whose_addresses_answers_is_refused(monkeypatch):
    """With the last one's reason."""
    _resolves_to(monkeypatch, [("127.0.0.1", _closed_port()), ("127.0.0.1", _closed_port())])
    with pytest.raises(WireError) as caught:
        get("http://some.host/")
    assert caught.value.category is Category.NETWORK_REFUSED


def test_running_out_of_file_descriptors_is_told_as_such():
    """And what fitted is answered: `ulimit -n 64`, 100 requests at once."""
    script = """
import asyncio, resource, sys
from asking import PATIENT
from pytest_llmbench import http
from pytest_llmbench.errors import WireError

async def main():
    fetches = [http.fetch(http.Request("GET", sys.argv[1]), PATIENT) for _ in range(100)]
    results = await asyncio.gather(*fetches, return_exceptions=True)
    failures = [one for one in results if isinstance(one, WireError)]
    assert len(failures) + sum(one.status == 200 for one in results if one not in failures) == 100
    assert {failure.category.value for failure in failures} == {"local.sockets"}, failures
    assert "ulimit" in failures[0].hint

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
http.run(main())
"""

    def play(connection):
        read_request(connection)
        time.sleep(0.5)
        connection.sendall(OK)

    with raw_server(play, backlog=128) as address:
        command = [sys.executable, "-W", "error", "-c", script, f"http://{address}/"]
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _silent_port():
    """A port whose backlog is full: the kernel answers nobody any more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


def _resolves_to(monkeypatch, addresses):
    async def resolved(_):
        return [(socket.AF_INET, address) for address in addresses]

    monkeypatch.setattr(connecting, "_resolved", resolved)


def _settled(condition) -> bool:
    """Whether it comes true within a while: the server's threads close their ends on their own."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False
