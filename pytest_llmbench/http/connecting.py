"""From an address to a connected socket, and from there to TLS."""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any

from pytest_llmbench.http.address import Address

_NEXT_ADDRESS_AFTER_S = 0.25
"""How long one address of a host has before the next is tried beside it (RFC 8305)."""
_HANDSHAKE_S = 86400.0
"""Longer than any deadline of ours, which is the one that is told."""

_SocketAddress = tuple[int, Any]
"""Family and address, as `socket` wants them."""


async def connected_socket(address: Address) -> socket.socket:
    """A socket connected to `address`; where a host has several addresses, to the one that answers first.

    Raises:
        OSError: the name has no address, or none of the addresses took the connection.
    """
    candidates = await _candidates(address)
    if len(candidates) == 1:
        return await _connected(candidates[0])
    return await _first_connected(candidates)


async def start_tls(
    transport: asyncio.Transport, protocol: asyncio.BaseProtocol, address: Address
) -> asyncio.Transport:
    """The transport within TLS; certificate and host name are checked.

    Raises:
        OSError: `ssl.SSLError` or a broken connection.
    """
    loop = asyncio.get_running_loop()
    try:
        secured = await loop.start_tls(
            transport,
            protocol,
            tls_context(),
            server_hostname=address.host.partition("%")[0],
            ssl_handshake_timeout=_HANDSHAKE_S,
        )
    except ConnectionError as error:
        raise ssl.SSLError(f"the server hung up during the handshake ({error!r})") from error
    assert secured is not None, "only an upgrade of a closed transport gives none, and that raises"
    return secured


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Trusts what `SSL_CERT_FILE` or `SSL_CERT_DIR` name, else the CA bundle of certifi, else the system's.

    Reading the certificates takes tens of ms: it is done at the first https request.
    """
    own = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=None if own else _certifi_bundle())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _certifi_bundle() -> str | None:
    try:
        import certifi  # noqa: PLC0415  only https pays for it
    except ImportError:
        return None
    return certifi.where()


async def _candidates(address: Address) -> list[_SocketAddress]:
    if address.scheme == "http+unix":
        return [(socket.AF_UNIX, address.host)]
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        return await _resolved(address)
    if "%" in address.host:  # the zone becomes a number
        return await _resolved(address)
    return [(socket.AF_INET6 if version == 6 else socket.AF_INET, (address.host, address.port))]


async def _resolved(address: Address) -> list[_SocketAddress]:
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    unique: list[_SocketAddress] = list(dict.fromkeys((int(family), where) for family, _, _, _, where in found))
    first = unique[0][0]
    same, others = [one for one in unique if one[0] == first], [one for one in unique if one[0] != first]
    return [one for one in chain.from_iterable(zip_longest(same, others)) if one is not None]


async def _connected(candidate: _SocketAddress) -> socket.socket:
    family, where = candidate
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await _connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, where: Any) -> None:
    """As the loop's own `sock_connect`; uvloop's resolves even addresses, in a thread, and loses their zones."""
    try:
        sock.connect(where)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
    else:
        return
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(sock)
    if failed := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(failed, f"{os.strerror(failed)}: {where}")


async def _first_connected(candidates: Iterable[_SocketAddress]) -> socket.socket:
    """Race the candidates, each with a head start over the next."""
    attempts: list[asyncio.Task[socket.socket]] = []
    winner: asyncio.Task[socket.socket] | None = None
    try:
        for candidate in candidates:
            attempts.append(asyncio.create_task(_connected(candidate)))
            winner = await _winner(attempts, _NEXT_ADDRESS_AFTER_S)
            if winner is not None:
                break
        winner = winner or await _winner(attempts, None) or attempts[-1]
        return winner.result()
    finally:
        for attempt in attempts:
            if attempt is not winner:
                attempt.cancel()
                attempt.add_done_callback(_close_late_winner)


async def _winner(
    attempts: list[asyncio.Task[socket.socket]], patience_s: float | None
) -> asyncio.Task[socket.socket] | None:
    """The first that is connected; None when all have failed or, where there is a limit, one has or it is over."""
    while racing := [attempt for attempt in attempts if not attempt.done()]:
        await asyncio.wait(racing, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        connected = [attempt for attempt in attempts if attempt.done() and attempt.exception() is None]
        if connected or patience_s is not None:
            return connected[0] if connected else None
    return None


def _close_late_winner(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
