"""From what the operating system and TLS raise to our categories."""

from __future__ import annotations

import errno
import socket
import ssl

from pytest_llmbench.errors import Category, WireError

_USED_UP = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}


def not_connected(error: OSError, shown: str) -> WireError:
    """The `WireError` for a connection that did not come about.

    Args:
        error: what connecting or the TLS handshake raised.
        shown: the request as messages name it.
    """
    category, told, hint = _connecting(error)
    return WireError(f"{shown}: {told}", category=category, hint=hint)


def broken(error: Exception, shown: str, status: int) -> Exception:
    """What to raise for a connection that broke; an error that is not the connection's is given back as it is.

    Args:
        error: what the transport told.
        shown: the request as messages name it.
        status: of HTTP, 0 where none had come.
    """
    if isinstance(error, ssl.SSLError):
        return WireError(f"{shown}: TLS failed: {error}", category=Category.NETWORK_TLS, status=status or None)
    if isinstance(error, OSError):
        told = f"{shown}: the connection broke ({error!r})"
        return WireError(told, category=Category.NETWORK_RESET, status=status or None)
    return error


def _connecting(error: OSError) -> tuple[Category, str, str]:
    if isinstance(error, socket.gaierror):
        return Category.NETWORK_DNS, f"the host name could not be resolved ({error})", "check the URL and the network"
    if isinstance(error, ssl.SSLError):
        return Category.NETWORK_TLS, f"TLS failed: {error}", "check the URL's scheme and the server's certificate"
    if error.errno in _USED_UP:
        hint = "ask less at once, or raise the limit on open files (ulimit -n)"
        return Category.LOCAL_SOCKETS, f"no socket left for another connection ({error})", hint
    return Category.NETWORK_REFUSED, f"no connection ({error})", "is the server running, and is the port right?"
