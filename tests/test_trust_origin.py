"""A page in the user's browser cannot use the servers that run on the user's machine."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from browsers import Opened, launched
from server_sessions import PATIENCE_S, ServerSession, spec_of

from pytest_llmbench.records import ModelFile, ServerInfo

ASKED = (
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/completion"),
    ("POST", "/infill"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/embeddings"),
    ("POST", "/tokenize"),
    ("POST", "/apply-template"),
    ("POST", "/props"),
    ("POST", "/slots/0?action=erase"),
    ("GET", "/props"),
    ("GET", "/slots"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("GET", "/models"),
    ("GET", "/lora-adapters"),
    ("GET", "/"),
)

BODY = (
    '{"prompt": "Hi", "content": "Hi", "input": "Hi", "messages": [{"role": "user", "content": "Hi"}], "n_predict": 3}'
)

FETCH = """async ([base, asked, body]) => {
    const told = [];
    for (const [method, path] of asked)
        for (const mode of ["cors", "no-cors"])
            for (const credentials of ["omit", "include"])
                for (const type of ["text/plain", "application/json"])
                    try {
                        const headers = {"content-type": type};
                        const sent = method === "POST" ? body : undefined;
                        const answer = await fetch(base + path, {method, mode, credentials, headers, body: sent});
                        told.push([answer.type, answer.status, await answer.text()]);
                    } catch (error) {
                        told.push(["refused", 0, ""]);
                    }
    return told;
}"""

OTHER_WAYS = """async ([base]) => {
    const gone = [];
    for (const [tag, attribute] of [["script", "src"], ["img", "src"], ["iframe", "src"], ["link", "href"]]) {
        const element = document.createElement(tag);
        element[attribute] = base + "/props";
        if (tag === "link") element.rel = "stylesheet";
        gone.push(new Promise(done => { element.onload = element.onerror = done; setTimeout(done, 3000); }));
        document.body.append(element);
    }
    await Promise.all(gone);
    let read = "";
    try { read = document.querySelector("iframe").contentDocument.body.innerText; } catch (error) { read = ""; }
    return read;
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another origin</title>")

    def log_message(self, *_: object) -> None:
        """Nothing is told."""


@pytest.fixture(scope="module")
def server(smollm2: ModelFile) -> Iterator[ServerInfo]:
    with ServerSession() as session:
        yield session.client().claim([spec_of(smollm2)], wait=True)[0]


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a page of somebody else, on another loopback port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{page.server_port}/"
        page.shutdown()


def _asked(server: ServerInfo, path: str, body: bytes | None = None) -> Request:
    return Request(server.base_url + path, body, {"Authorization": f"Bearer {server.api_key.reveal()}"})


def _tokens_read(server: ServerInfo) -> float:
    """How many tokens of prompts the server has worked on since it started; asked with its key."""
    with urlopen(_asked(server, "/metrics"), timeout=PATIENCE_S) as answer:
        found = re.search(r"^llamacpp:prompt_tokens_total ([0-9.e+]+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.browser
def test_a_page_of_another_origin_gets_no_completion_and_no_properties(
    server: ServerInfo, elsewhere: str, chromium: str
) -> None:
    """llama.cpp allows every origin to read its answers, so the key is all that stands between: with and without
    credentials, with and without asking first. What a page can learn is that a server is there."""
    with launched(chromium) as browser:
        opened = Opened(browser.new_page())
        opened.page.goto(elsewhere)
        told = opened.page.evaluate(FETCH, [server.base_url, ASKED, BODY])
        embedded = opened.page.evaluate(OTHER_WAYS, [server.base_url])
    assert len(told) == 8 * len(ASKED)
    assert {status for _, status, _ in told} <= {0, 401, 404}
    assert 401 in {status for _, status, _ in told}
    assert not [text for _, _, text in told if server.model_path in text or "content" in text or "n_ctx" in text]
    assert "n_ctx" not in embedded
    assert _tokens_read(server) == 0
    with urlopen(_asked(server, "/completion", BODY.encode()), timeout=PATIENCE_S) as answer:
        answer.read()
    assert _tokens_read(server) > 0


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
def test_a_name_that_was_bound_to_this_machine_opens_nothing(server: ServerInfo, host: str, origin: str | None) -> None:
    """DNS rebinding makes a page's own origin point here: the server looks at neither Host nor Origin, but at the key,
    which no page has."""
    for method, path in ASKED:
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=PATIENCE_S)
        headers = {"Host": host, "Content-Type": "application/json", **({"Origin": origin} if origin else {})}
        connection.request(method, path, BODY if method == "POST" else None, headers)
        answer = connection.getresponse()
        assert answer.status in {401, 404}, (path, host, origin)
        assert server.model_path not in answer.read().decode()
        connection.close()


@pytest.mark.parametrize("key", ["", "x", "null", "undefined", "Bearer", "%s", "*"])
def test_a_guessed_key_opens_nothing(server: ServerInfo, key: str) -> None:
    for header in ({"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}, {"Authorization": key}):
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=PATIENCE_S)
        connection.request("GET", "/props", headers=header)
        assert connection.getresponse().status == 401
        connection.close()


def test_the_server_listens_on_the_loopback_interface_alone(server: ServerInfo) -> None:
    """At the one port that it was given by the system."""
    import psutil

    listening = [c.laddr for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert server.base_url in {f"http://127.0.0.1:{address.port}" for address in listening}
