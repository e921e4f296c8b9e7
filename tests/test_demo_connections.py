"""The demo provider's connections and processes: kept, pipelined, held back; ended with whoever wanted them."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any

import pytest
from asking import PATIENT, model_of

from pytest_llmbench import http
from pytest_llmbench.cli.demo_flags import TRAITS
from pytest_llmbench.demo import Answer, DemoProvider, Page, Raw, Wait, background, end_background
from pytest_llmbench.demo.conduct import Conduct
from pytest_llmbench.demo.personas import PERSONAS

BODY = b'{"model": "echo", "messages": [{"role": "user", "content": "hi"}]}'


def raw_request(*headers: str, body: bytes = BODY, version: str = "1.1") -> bytes:
    lines = [f"POST /v1/chat/completions HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(url: str) -> Any:
    return json.loads(http.run(http.fetch(http.Request("GET", url), PATIENT)).body)


@contextmanager
def connected(provider: DemoProvider) -> Iterator[socket.socket]:
    port = int(provider.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def responses(connection: socket.socket, count: int) -> bytes:
    """What comes until so many responses of known length are here."""
    data = b""
    while data.count(b'"usage"') < count or not data.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_connection_serves_many_requests() -> None:
    """One after the other; the log tells that it was the same."""
    with DemoProvider() as provider, connected(provider) as connection:
        for _ in range(3):
            connection.sendall(raw_request())
            assert b"You said: hi" in responses(connection, 1)
        assert [call.connection for call in provider.log] == [1, 1, 1]
        assert provider.counts.connections == 1


def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    """Pipelined: each waits for the one before it."""
    slow = raw_request(body=b'{"model": "echo+latency_s=0.2", "messages": [{"role": "user", "content": "first"}]}')
    with DemoProvider() as provider, connected(provider) as connection:
        connection.sendall(slow + raw_request())
        said = responses(connection, 2)
    assert said.index(b"first") < said.index(b"You said: hi")


@pytest.mark.parametrize("request_", [raw_request("Connection: close"), raw_request(version="1.0")])
def test_a_client_that_wants_the_end_of_the_connection_gets_it(request_: bytes) -> None:
    """As our measuring client does, and HTTP/1.0."""
    with DemoProvider() as provider, connected(provider) as connection:
        connection.sendall(request_)
        assert responses(connection, 9).endswith(b"}")


def test_a_request_may_come_in_pieces() -> None:
    """Cut anywhere."""
    request = raw_request()
    with DemoProvider() as provider, connected(provider) as connection:
        for cut in range(0, len(request), 40):
            connection.sendall(request[cut : cut + 40])
            time.sleep(0.001)
        assert b"You said: hi" in responses(connection, 1)


def test_what_is_no_http_ends_the_connection_and_nothing_else() -> None:
    """The next client is served."""
    with DemoProvider() as provider:
        with connected(provider) as connection:
            connection.sendall(b"\x16\x03\x01 what is this\r\n\r\n")
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
        assert model_of(provider).ask("hi").text == "You said: hi"


def test_a_client_that_does_not_read_holds_the_response_back() -> None:
    """Memory is bounded, and all of it arrives once the client reads."""
    block = b"x" * 1_000_000
    page = Page([Raw(block)] * 30, content_type="text/plain", content_length=30 * len(block))
    with DemoProvider(page) as provider, connected(provider) as connection:
        connection.sendall(raw_request())
        time.sleep(0.3)
        (call,) = provider.chats()
        held = len(call.sent)
        received = 0
        while received < 30 * len(block):
            received += len(connection.recv(1 << 20))
    assert held < 30
    assert len(call.sent) == 30


def test_reading_on_does_not_end_a_stall() -> None:
    """A full buffer and a stall behind it: the stall holds."""
    page = Page([Raw(b"x" * 4_000_000), Wait(float("inf")), Raw(b"never")], chunked=False)
    with DemoProvider(page) as provider, connected(provider) as connection:
        connection.sendall(raw_request())
        received = b""
        connection.settimeout(0.5)
        with suppress(TimeoutError):
            while b"never" not in received:
                received += connection.recv(1 << 20)
    assert received.count(b"x") >= 4_000_000
    assert b"never" not in received


def test_the_log_is_bounded_and_the_counts_are_not() -> None:
    """The newest calls stay."""
    with DemoProvider(log_size=5) as provider:
        model = model_of(provider)
        for number in range(12):
            model.ask(str(number), stream=False)
        counts = get(provider.url + "/demo/counts")
        kept = [call.body["messages"][-1]["content"] for call in provider.chats()]
    assert kept[-5:] == ["7", "8", "9", "10", "11"]
    assert len(kept) < 12
    assert (counts["requests"], counts["complete"], counts["by_status"]) == (12, 12, {"200": 12})
    assert (counts["by_model"], counts["in_flight"]) == ({"served-name": 12}, 0)


def test_a_client_that_goes_away_is_counted_out() -> None:
    """Its response is not complete, and nothing of it is in flight any more."""
    with DemoProvider(Answer("one two", ttft_s=30)) as provider:
        with connected(provider) as connection:
            connection.sendall(raw_request())
            while not provider.chats():
                time.sleep(0.01)
        while provider.counts.in_flight:
            time.sleep(0.01)
        assert (provider.counts.requests, provider.counts.complete) == (1, 0)


def test_another_script_may_follow() -> None:
    """For tests in which a provider changes its mind."""
    with DemoProvider(Answer("one")) as provider:
        model = model_of(provider)
        first = model.ask("?").text
        provider.follow([Answer("two")])
        assert (first, model.ask("?").text) == ("one", "two")
        provider.follow(None)
        assert model.ask("?").text == "You said: ?"


def test_the_background_provider_is_one_a_process_and_comes_again_after_its_end() -> None:
    """The same address until it is ended, by us or by somebody else."""
    try:
        url = background()
        assert background() == url
        assert get(url + "/health") == {"status": "ok"}
        end_background()
        again = background()
        assert get(again + "/health") == {"status": "ok"}
    finally:
        end_background()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_background_provider_ends_with_its_parent_however_that_ends(end: signal.Signals) -> None:
    """Nothing is left after `kill -9`."""
    code = (
        "import time\n"
        "from pytest_llmbench.demo import background\n"
        "from pytest_llmbench.demo.background import _running\n"
        "background()\n"
        "print(_running[0][0].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(end)
        parent.wait(30)
    assert gone(pid)


@contextmanager
def demo_server(*flags: str) -> Iterator[str]:
    """`llmbench demo-server` at a port of the system's choice."""
    command = [sys.executable, "-m", "pytest_llmbench", "demo-server", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
            rest = process.stdout.read()  # communicate() would lose what came together with the first line
    assert process.returncode == 0
    assert "/demo/log" in rest


def test_the_verb_serves_as_its_flags_say() -> None:
    """The address first, Ctrl-C ends it with status 0."""
    with demo_server("--tokens", "2", "--rpm", "1") as url:
        request = http.Request("POST", url + "/v1/chat/completions", {"content-type": "application/json"}, BODY)
        first, second = (http.run(http.fetch(request, PATIENT)) for _ in range(2))
    assert json.loads(first.body)["choices"][0]["message"]["content"] == "token token "
    assert (first.headers["x-ratelimit-remaining-requests"], second.status) == ("0", 429)


def test_the_verb_refuses_what_it_does_not_know_and_a_port_that_is_taken() -> None:
    """Exit code 4, and what to do."""
    command = [sys.executable, "-m", "pytest_llmbench", "demo-server", "--for-s", "0"]
    wrong = subprocess.run([*command, "--fault", "stal"], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, "did you mean 'stall'" in wrong.stderr) == (4, True)
    with DemoProvider() as provider:
        port = provider.url.rsplit(":", 1)[1]
        taken = subprocess.run([*command, "--port", port], capture_output=True, text=True, timeout=60, check=False)
    assert (taken.returncode, "--port 0" in taken.stderr) == (4, True)
    none = subprocess.run([*command, "--port", "99999"], capture_output=True, text=True, timeout=60, check=False)
    assert (none.returncode, "99999 is no port" in none.stderr) == (4, True)


def test_every_trait_has_a_flag() -> None:
    """The verb's table is plain data, for speed; this holds it to the traits."""
    flags = [names[0].removeprefix("--").replace("-", "_") for names, *_ in TRAITS]
    assert flags == [field.name for field in fields(Conduct)]
    assert all(persona in PERSONAS for persona in ("echo", "facts", "slow"))


def test_a_client_that_comes_as_the_provider_ends_leaves_nothing_open():
    """A connection still being accepted was never closed, and its warning fell on a later test."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(40):
            with DemoProvider() as provider:
                address = ("127.0.0.1", int(provider.url.rpartition(":")[2]))
                clients = [socket.create_connection(address, timeout=20) for _ in range(number % 4 + 1)]
            for client in clients:
                client.close()
        gc.collect()
    assert [str(warning.message) for warning in told] == []
