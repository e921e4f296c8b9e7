"""One request over a real loopback socket: stamps, deadlines, limits, and what is never done."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from contextlib import contextmanager

import pytest
from asking import PATIENT

from pytest_llmbench import http
from pytest_llmbench.demo import Answer, Close, DemoProvider, Failure, Page, Raw, Reset, Wait
from pytest_llmbench.errors import Category, UsageError, WireError

CHAT = b'{"stream": true, "messages": [{"role": "user", "content": "hello"}]}'


def chat_request(provider: DemoProvider, **headers: str) -> http.Request:
    return http.Request("POST", provider.url + "/v1/chat/completions", headers, CHAT)


def fetch_from(reaction, *, deadlines=PATIENT, max_bytes=http.MAX_BODY_BYTES, **headers):
    with DemoProvider(reaction) as provider:
        return http.run(http.fetch(chat_request(provider, **headers), deadlines, max_bytes=max_bytes))


def failure_of(reaction, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        fetch_from(reaction, **options)
    return caught.value


@contextmanager
def raw_server(answer: bytes):
    """A socket that reads a little and says `answer`, whatever that is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_stamps_are_in_the_order_of_what_happened():
    """Connecting, request written, headers, body: all on one monotonic clock."""
    fetched = fetch_from(Answer("hi"))
    stamps = fetched.stamps
    assert stamps.started_at < stamps.connected_at < stamps.written_at < stamps.headers_at < fetched.ended_at


def test_the_request_counts_as_written_before_the_server_has_read_it():
    """`written_at` is no later than the moment at which the server, on the same clock, had the whole request."""
    with DemoProvider(Answer("hi", headers_after_s=0.2)) as provider:
        fetched = http.run(http.fetch(chat_request(provider), PATIENT))
        received_at = provider.log[0].received_at
    assert fetched.stamps.written_at < received_at + 0.1
    assert fetched.stamps.headers_at >= received_at + 0.2


def test_every_exchange_has_a_connection_of_its_own():
    """llama-server advertises keep-alive after a stream and closes: a connection used again would be reset."""
    with DemoProvider(Answer("hi")) as provider:
        for _ in range(3):
            http.run(http.fetch(chat_request(provider), PATIENT))
        assert [call.connection for call in provider.log] == [1, 2, 3]


def test_a_redirect_is_not_followed_and_the_prompt_goes_nowhere():
    """The other server hears nothing: neither key nor prompt."""
    with DemoProvider() as elsewhere:
        redirect = Failure(307, headers={"Location": elsewhere.url + "/v1/chat/completions"})
        assert fetch_from(redirect).status == 307
        assert elsewhere.log == []


def test_proxy_settings_of_the_environment_are_not_used(monkeypatch):
    """A proxy in the environment would make loopback servers unreachable and bend every time."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch_from(Answer("hi")).status == 200


def test_compression_is_not_asked_for_and_refused():
    """A compressed stream has no stamps worth the name, and a bomb never unpacks."""
    with DemoProvider(Page([Raw(b"x")], headers={"Content-Encoding": "gzip"})) as provider:
        with pytest.raises(WireError, match="compressed") as caught:
            http.run(http.fetch(chat_request(provider), PATIENT))
        assert provider.log[0].headers["accept-encoding"] == "identity"
    assert caught.value.category is Category.STREAM_MALFORMED


def test_a_body_over_the_limit_is_refused():
    """Before it is in memory."""
    failure = failure_of(Page([Raw(b"x" * 600), Raw(b"y" * 600), Wait(float("inf"))]), max_bytes=1000)
    assert failure.category is Category.STREAM_TOO_LARGE


@pytest.mark.parametrize(
    ("steps", "category"),
    [
        ([Raw(b"half"), Close()], Category.STREAM_TRUNCATED),
        ([Raw(b"half"), Reset()], Category.NETWORK_RESET),
    ],
    ids=["closed", "reset"],
)
def test_a_body_that_breaks_off_is_told_apart(steps, category):
    """Closed without HTTP's end, or reset."""
    assert failure_of(Page(steps)).category is category


@pytest.mark.parametrize(
    ("answer", "category"),
    [(b"", Category.NETWORK_RESET), (b"SSH-2.0-OpenSSH_9\r\n\r\n", Category.STREAM_MALFORMED)],
    ids=["nothing", "another protocol"],
)
def test_what_is_no_http_is_told_apart(answer, category):
    """A server that hangs up, and one that is no HTTP server."""
    with raw_server(answer) as address, pytest.raises(WireError) as caught:
        http.run(http.fetch(http.Request("GET", f"http://{address}/"), PATIENT))
    assert caught.value.category is category


def test_nobody_listening_is_refused_with_advice():
    """The message names the address, the hint what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    with pytest.raises(WireError) as caught:
        http.run(http.fetch(http.Request("GET", url), PATIENT))
    assert caught.value.category is Category.NETWORK_REFUSED
    assert url in str(caught.value)
    assert "is the server running" in str(caught.value)


def test_a_name_that_does_not_resolve_is_a_matter_of_dns():
    """`.invalid` never resolves (RFC 2606)."""
    with pytest.raises(WireError) as caught:
        http.run(http.fetch(http.Request("GET", "http://no-such-host.invalid/"), PATIENT))
    assert caught.value.category is Category.NETWORK_DNS


def test_https_to_a_server_without_tls_is_a_matter_of_tls():
    """As when a URL has the wrong scheme."""
    with raw_server(b"HTTP/1.1 400 no TLS here\r\n\r\n") as address, pytest.raises(WireError) as caught:
        http.run(http.fetch(http.Request("GET", f"https://{address}/"), PATIENT))
    assert caught.value.category is Category.NETWORK_TLS


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:80", "http://[broken"])
def test_an_address_that_is_no_http_url_is_said_to_be_wrong(url):
    """Before anything is sent."""
    with pytest.raises((WireError, UsageError), match=r"URL|http://"):
        http.run(http.fetch(http.Request("GET", url), PATIENT))


@pytest.mark.parametrize(
    ("reaction", "late", "category"),
    [
        (Answer("hi", headers_after_s=60), "total_s", Category.TIMEOUT_TOTAL),
        (Page([Raw(b"x"), Wait(60)]), "idle_s", Category.TIMEOUT_IDLE),
        (Page([Wait(0.05), Raw(b"x")] * 200), "total_s", Category.TIMEOUT_TOTAL),
    ],
    ids=["headers that never come", "a body that stops", "a body that never ends"],
)
def test_each_deadline_of_a_plain_request_has_its_category(reaction, late, category):
    """And the message says how long was waited."""
    failure = failure_of(reaction, deadlines=dataclasses.replace(PATIENT, **{late: 0.5}))
    assert failure.category is category
    assert "within 0.5 s" in str(failure)
    assert f"--llmbench-{late.removesuffix('_s')}-timeout-s" in str(failure)


def test_a_connection_that_does_not_come_about_has_the_connect_deadline():
    """A full backlog: the kernel answers nobody any more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        request = http.Request("GET", f"http://127.0.0.1:{address[1]}/")
        with pytest.raises(WireError) as caught:
            http.run(http.fetch(request, dataclasses.replace(PATIENT, connect_s=0.3)))
        for one in waiting:
            one.close()
    assert caught.value.category is Category.TIMEOUT_CONNECT


def test_the_shorter_of_phase_and_total_is_the_deadline_that_counts():
    """A total below the idle limit is reported as the total."""
    deadlines = http.Deadlines(connect_s=5, ttft_s=30, idle_s=30, total_s=0.4)
    assert failure_of(Page([Raw(b"x"), Wait(60)]), deadlines=deadlines).category is Category.TIMEOUT_TOTAL


def test_a_timeout_of_the_callers_own_is_not_taken_for_ours():
    """Only our own deadlines become `WireError`s."""

    async def impatient(request):
        async with http.open_exchange(request, PATIENT, streamed=True):
            raise TimeoutError("the caller's")

    with DemoProvider() as provider, pytest.raises(TimeoutError, match="the caller's"):
        http.run(impatient(chat_request(provider)))


def test_leaving_an_exchange_early_closes_its_connection():
    """The server notices at its next write; nothing is left open on our side (warnings are errors here)."""

    async def first_chunk(request):
        async with http.open_exchange(request, PATIENT, streamed=True) as exchange:
            return await anext(exchange.chunks())

    with DemoProvider(Answer("hi " * 50, itl_s=0.01)) as provider:
        assert http.run(first_chunk(chat_request(provider)))[1].startswith(b"data: ")


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown():
    """Copied with its line break, say."""
    request = http.Request("GET", "http://127.0.0.1:1/", {"authorization": "Bearer sk-secret\n"})
    with pytest.raises(UsageError, match="authorization") as caught:
        http.run(http.fetch(request, PATIENT))
    assert "sk-secret" not in str(caught.value) + repr(request)


def test_messages_name_a_request_without_password_and_query():
    """Both may hold secrets."""
    shown = http.Request("GET", "http://user:secret@host:1/path?key=secret").shown
    assert shown == "GET http://host:1/path"


def test_many_exchanges_run_at_once():
    """On one loop, each with its own stamps."""

    async def all_of(request):
        return await asyncio.gather(*(http.fetch(request, PATIENT) for _ in range(20)))

    with DemoProvider(Answer("hi", ttft_s=0.3)) as provider:
        fetched = http.run(all_of(chat_request(provider)))
        received = [call.received_at for call in provider.log]
    assert [one.status for one in fetched] == [200] * 20
    assert max(received) < min(one.ended_at for one in fetched), "the last began before the first was done"
