"""From what httpx raises to our categories."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from pytest_llmbench.errors import Category, WireError


def wire_error(error: Exception, shown: str, *, headers_came: bool) -> WireError:
    """The `WireError` for what httpx raised.

    Args:
        error: an `httpx.HTTPError` or `httpx.StreamError`.
        shown: the request as messages name it.
        headers_came: whether the response had begun: a break before it is no truncated stream.
    """
    diagnosis = _connecting if isinstance(error, (httpx.ConnectError, httpx.UnsupportedProtocol)) else _exchanging
    category, told, hint = diagnosis(error, headers_came)
    return WireError(f"{shown}: {told}", category=category, hint=hint)


def _connecting(error: Exception, _headers_came: bool) -> tuple[Category, str, str]:
    causes = list(_causes(error))
    if isinstance(error, httpx.UnsupportedProtocol):
        return Category.INVALID_REQUEST, str(error), "a server's URL begins with http:// or https://"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Category.NETWORK_DNS, "the host name could not be resolved", "check the URL and the network"
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None:
        return Category.NETWORK_TLS, f"TLS failed: {tls}", "check the URL's scheme and the server's certificate"
    return Category.NETWORK_REFUSED, f"no connection ({causes[-1]})", "is the server running, and is the port right?"


def _exchanging(error: Exception, headers_came: bool) -> tuple[Category, str, str]:
    if not isinstance(error, httpx.ProtocolError):
        return Category.NETWORK_RESET, f"the connection broke ({list(_causes(error))[-1]!r})", ""
    # httpx has one class for a peer that went away and one that talks nonsense; only the text tells them apart.
    if str(error).startswith("peer closed connection"):
        return Category.STREAM_TRUNCATED, str(error), ""
    if not headers_came and "disconnected" in str(error):
        return Category.NETWORK_RESET, str(error), ""
    return Category.STREAM_MALFORMED, f"not HTTP: {error}", ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, and so on down to the operating system's own."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from _causes(error.exceptions[0])
            return
        error = error.__cause__ or error.__context__
