"""Files on web servers, and connections to these: how they are asked, and where they may lead us."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from pytest_llmbench.config import source_forms
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models.remote_errors import status_error

if TYPE_CHECKING:
    import httpx

STALL_TIMEOUT_S = 60.0
"""How long a server may send nothing before the connection is given up (and made anew)."""
NOT_A_FILE = "the source has to be the address of the file itself, not of a page about it"
_CONNECT_TIMEOUT_S = 20.0
_MAX_REDIRECTS = 10
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file on a server, and what is known of it beforehand."""

    url: str
    shown: str
    """As messages and progress name it."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent to the server of `url` alone, never to another one that it leads to."""
    size_bytes: int | None = None
    sha256: str = ""
    said_by: str = ""
    """Who says that this is its hash."""


@contextmanager
def client() -> Iterator[httpx.Client]:
    """Connections for downloads: through the user's proxy, except to this machine, and with the user's certificates.

    Raises:
        ConfigError: the environment names a proxy or certificates that cannot be used.
    """
    import httpx  # noqa: PLC0415  only a download pays for it

    try:
        connections = httpx.Client(
            verify=_trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            timeout=httpx.Timeout(STALL_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            headers={"User-Agent": "pytest-llmbench", "Accept": "*/*", "Accept-Encoding": "identity"},
            mounts=dict.fromkeys(_LOOPBACK),
            follow_redirects=False,
        )
    except (ImportError, ValueError, OSError) as error:
        # A proxy that is no address, or for which httpx needs another package; certificates that are not there.
        raise ConfigError(
            f"no connections can be made with this environment: {error}",
            hint="check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
        ) from error
    with connections:
        yield connections


@cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """The certificates that the environment names; reading them takes longer than a request to the hub."""
    import httpx  # noqa: PLC0415  only a download pays for it

    return httpx.create_ssl_context()


@contextmanager
def answered(connections: httpx.Client, remote: RemoteFile, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    """The answer to a request, after any redirects; its body is not read yet.

    A redirect to another server gets none of `remote.headers`, and none leads from https to http.

    Raises:
        TryAgainError: the server may be able to answer later.
        ModelFileError: the answer is an error, or the redirects lead nowhere good.
        httpx.TransportError: the connection was not made or broke.
    """
    url = remote.url
    for _ in range(_MAX_REDIRECTS):
        ours = remote.headers if _server(url) == _server(remote.url) else {}
        response = _sent(connections, url, {**headers, **ours}, remote)
        try:
            if not response.has_redirect_location:
                if response.status_code not in {200, 206, 416}:
                    raise status_error(response, remote.shown)
                yield response
                return
            url = _next(url, response.headers["location"], remote)
        finally:
            response.close()
    raise refused(remote, f"the server redirects more than {_MAX_REDIRECTS} times", NOT_A_FILE)


def _sent(connections: httpx.Client, url: str, headers: Mapping[str, str], remote: RemoteFile) -> httpx.Response:
    import httpx  # noqa: PLC0415  only a download pays for it

    try:
        return connections.send(connections.build_request("GET", url, headers=headers), stream=True)
    except (httpx.InvalidURL, ValueError) as error:
        # `send` looks at the next redirect, too, and lets the errors of the `idna` package through.
        raise refused(remote, f"the server redirects to what is no address ({error})", NOT_A_FILE) from error


def _next(url: str, location: str, remote: RemoteFile) -> str:
    try:
        target = urljoin(url, location)
        scheme, _, _ = _server(target)
    except ValueError as error:
        raise refused(remote, f"the server redirects to what is no address ({error})", NOT_A_FILE) from error
    if scheme not in _DEFAULT_PORTS or (scheme == "http" and urlsplit(url).scheme == "https"):
        raise refused(remote, f"the server redirects from https to {scheme}", "write the address it really has")
    if source_forms.is_plain(target) and not (source_forms.is_plain(remote.url) or remote.sha256):
        raise refused(remote, "the server redirects to http:// on another machine", "write the address it really has")
    return target


def _server(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def refused(
    remote: RemoteFile, why: str, hint: str, category: Category = Category.LOCAL_CORRUPT_MODEL
) -> ModelFileError:
    """The error for a file that cannot be had, or is not what it should be."""
    return ModelFileError(display_safe(f"cannot download {remote.shown}: {why}", keep=""), category=category, hint=hint)
