"""`/metrics` and `/health` over HTTP, for monitoring systems; looks at the database whenever it is asked.

Whoever may ask sees models, counts and costs, so only this machine may, unless a token is given. A web page that a
browser of this machine has open may not: names other than our own in the Host header are refused (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import socket
import socketserver
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from pytest_llmbench.errors import LlmbenchError, UsageError
from pytest_llmbench.observe.callers import Callers
from pytest_llmbench.observe.exposition import OPEN, PLAIN, exposed
from pytest_llmbench.observe.watching import Onlooker, View
from pytest_llmbench.secret import Secret

AT_ONCE = 16
"""Connections at once; beyond them the one that has been silent for longest is closed."""
_QUEUE = 64
"""Connections that the system keeps for us until we take them."""
PATIENCE_S = 10.0
"""How long a connection may be silent."""
_HOST = re.compile(r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class MetricsServer(socketserver.ThreadingTCPServer):
    """Listens from its making on; `serve_forever` answers.

    Args:
        onlooker: looks at the database.
        host: the address to listen at: one of this machine, unless there is a token.
        port: 0 lets the system choose.
        token: what callers have to present as `Authorization: Bearer TOKEN`; None: nothing.
        names: under which it may be asked, beside addresses, `localhost` and `host`.

    Raises:
        UsageError: the address is of the network and there is no token, or it cannot be listened at.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = _QUEUE

    def __init__(
        self, onlooker: Onlooker, host: str, port: int, *, token: Secret | None = None, names: tuple[str, ...] = ()
    ) -> None:
        if token is None and not is_loopback(host):
            raise UsageError(
                f"--host {host}: others could read models, counts and costs there",
                hint="leave --host out, or name a variable that holds a token: --token-env METRICS_TOKEN",
            )
        self.onlooker = onlooker
        self.token = token
        self.names = frozenset({"localhost", host.lower(), *(name.lower() for name in names)})
        self.callers = Callers(AT_ONCE)
        try:
            self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"cannot listen at {host}:{port}: {error.strerror or error}",
                hint="--port 0 lets the system choose a free port",
            ) from error

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.callers.comes(request):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.callers.goes(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is its client's business."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: MetricsServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S

    def handle_one_request(self) -> None:
        self.server.callers.falls_silent(self.connection)
        super().handle_one_request()

    def parse_request(self) -> bool:
        is_whole = super().parse_request()
        if is_whole:
            self.server.callers.asks(self.connection)
        return is_whole

    def do_GET(self) -> None:
        if not self._is_meant_for_us():
            self._refuse(HTTPStatus.FORBIDDEN, "this is not a name of this server: name it with --allow-host")
        elif not self._may_ask():
            self._refuse(HTTPStatus.UNAUTHORIZED, "a token is needed", {"WWW-Authenticate": "Bearer"})
        elif (answer := _ANSWERS.get(urlsplit(self.path).path)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there are /metrics and /health")
        else:
            self._look(answer)

    def _look(self, answer: Callable[[_Handler, View], tuple[int, str, str]]) -> None:
        """Answer with what is seen now, or why nothing can be: the run that was named is gone."""
        try:
            view = self.server.onlooker.look()
        except LlmbenchError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        self._answer(*answer(self, view))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.close_connection = True  # its body is not read
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD", {"Allow": "GET, HEAD"})

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST  # noqa: N815 - the names are the library's

    def metrics(self, view: View) -> tuple[int, str, str]:
        is_open = "application/openmetrics-text" in self.headers.get("Accept", "")
        return HTTPStatus.OK, OPEN if is_open else PLAIN, exposed(view.figures, is_open=is_open)

    def health(self, view: View) -> tuple[int, str, str]:
        return view.health.http_status, _JSON, json.dumps(view.health.as_dict(), ensure_ascii=False) + "\n"

    def version_string(self) -> str:
        return "llmbench"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the library's
        """Nobody reads it."""

    def _is_meant_for_us(self) -> bool:
        given = self.headers.get_all("Host", [])
        found = _HOST.fullmatch(given[0].strip().lower()) if len(given) == 1 else None
        name = found["name"].strip("[]") if found else ""
        return name in self.server.names or _is_address(name)

    def _may_ask(self) -> bool:
        if self.server.token is None:
            return True
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        expected = self.server.token.reveal().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected)

    def _refuse(self, status: HTTPStatus, why: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, _TEXT, f"{why}\n", headers)

    def _answer(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        for name, value in {**fixed, "X-Content-Type-Options": "nosniff", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_ANSWERS: dict[str, Callable[[_Handler, View], tuple[int, str, str]]] = {
    "/metrics": _Handler.metrics,
    "/health": _Handler.health,
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    """An address by number: no name server can make another one of it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
