"""A URL taken apart: where to connect, and what the request's head says about it."""

from __future__ import annotations

import base64
import functools
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pytest_llmbench.errors import UsageError

_DEFAULT_PORTS = {"http": 80, "https": 443, "http+unix": 0}
_AS_IT_IS = "/?%:@!$&'()*+,;=~-._[]"
"""What a path or query may hold; anything else is percent-encoded."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes."""

    scheme: str
    """`http`, `https` or `http+unix`."""
    host: str
    """A name or an IP address without brackets; for `http+unix` the path of the socket."""
    port: int
    target: str
    """Path and query, as the request line carries them."""
    host_header: str
    basic_auth: str
    """The value of an Authorization header, where the URL holds a user name."""
    shown: str
    """For messages: no user name, no password, no query."""


@functools.lru_cache(maxsize=256)
def parse(url: str) -> Address:
    """Take `url` apart.

    `http+unix://%2Frun%2Fserver.sock/v1/models` is a path on a server that listens on a Unix socket.

    Raises:
        UsageError: it is no URL that a request can be sent to.
    """
    try:
        parts = urlsplit(_printable(url))
        return _address(parts, parts.port)
    except ValueError as error:
        raise UsageError(
            f"{_without_secrets(url)!r} is not a URL of a server: {error}",
            hint="a server's URL begins with http:// or https://",
        ) from error


def _printable(url: str) -> str:
    if not url.isprintable() or " " in url:  # `urlsplit` would drop some of them in silence
        raise ValueError("it holds a blank or a control character")
    return url


def _address(parts: SplitResult, port: int | None) -> Address:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"it begins with neither http:// nor https:// but with {parts.scheme + ':'!r}")
    if not parts.hostname:
        raise ValueError("it names no host")
    netloc = parts.netloc.rpartition("@")[2]
    unix = parts.scheme == "http+unix"
    path = quote(parts.path or "/", safe=_AS_IT_IS)
    return Address(
        scheme=parts.scheme,
        host=unquote(netloc) if unix else _ascii(unquote(parts.hostname)),
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        target=path + (f"?{quote(parts.query, safe=_AS_IT_IS)}" if parts.query else ""),
        host_header="localhost" if unix else _host_header(parts, port),
        basic_auth=_basic_auth(parts),
        shown=f"{parts.scheme}://{netloc}{parts.path}",
    )


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _host_header(parts: SplitResult, port: int | None) -> str:
    host = _ascii(unquote(parts.hostname or "")).partition("%")[
        0
    ]  # a zone (`fe80::1%eth0`) is our machine's own affair
    host = f"[{host}]" if ":" in host else host
    return host if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"


def _basic_auth(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(user.encode()).decode("ascii")


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/?#]*@", "//", url).partition("?")[0]
