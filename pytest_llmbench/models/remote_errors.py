"""What goes wrong between us and a server of files, in our categories, and what is worth another try."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, ModelFileError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LONGEST_WAIT_S = 120.0
"""A server that asks to be left alone for longer is not waited for."""
_TRIES = 5
_FIRST_WAIT_S = 0.5
_NETWORK = "is there a network? `HTTPS_PROXY` names a proxy, `--offline` uses what is here"
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_STATUS = {
    401: (Category.AUTH, "refused, it wants to know who asks"),
    403: (Category.AUTH, "refused"),
    404: (Category.MODEL_MISSING, "not there"),
    410: (Category.MODEL_MISSING, "not there any more"),
    429: (Category.RATE_LIMITED, "too many requests at once"),
    503: (Category.OVERLOADED, "the server is overloaded"),
}


class TryAgainError(Exception):
    """A failure that may pass.

    Args:
        final: the error to raise when it does not.
        wait_s: how long the server asks to be left alone; None: it says nothing.
    """

    def __init__(self, final: ModelFileError, wait_s: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.wait_s = wait_s


def persistently(attempt: Callable[[], T], done: Callable[[], int], on_wait: Callable[[], None]) -> T:
    """Call `attempt` until it works, waiting longer each time.

    Args:
        attempt: raises `TryAgainError` for what may pass.
        done: how much has been achieved so far; only failures in a row that brought nothing are counted.
        on_wait: called before each time of waiting.

    Raises:
        ModelFileError: it failed five times in a row without getting on.
    """
    failures, before = 0, done()
    while True:
        try:
            return attempt()
        except TryAgainError as error:
            now = done()
            failures, before = (1 if now > before else failures + 1), now
            wait_s = _FIRST_WAIT_S * 2 ** (failures - 1) if error.wait_s is None else error.wait_s
            if failures >= _TRIES or wait_s > LONGEST_WAIT_S:
                raise error.final from error
            on_wait()
            clock.sleep(wait_s)


def status_error(response: httpx.Response, shown: str) -> ModelFileError | TryAgainError:
    """The error for an answer that is none of success and redirect."""
    status = response.status_code
    known = (Category.SERVER, "the server failed") if status >= 500 else (Category.INVALID_REQUEST, "refused")
    category, told = _STATUS.get(status, known)
    wait_s = retry_after_s(response.headers)
    asked = f"; it asks to be left alone for {wait_s:.0f} s" if wait_s else ""
    error = ModelFileError(
        f"cannot download {shown}: {told} (HTTP {status}{asked})",
        category=category,
        hint="try again later" if status in _RETRIED_STATUS else "check the model's source in llmbench.yaml",
    )
    return TryAgainError(error, wait_s) if status in _RETRIED_STATUS else error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long to wait, as the server says it: seconds, or a date. None: it does not, or makes no sense."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            moment = parsedate_to_datetime(told)
        except ValueError:
            return None
        # A date without a zone is in UTC (RFC 9110, section 5.6.7).
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - clock.now()).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def transport_error(error: httpx.TransportError, shown: str) -> ModelFileError | TryAgainError:
    """The error for a connection that was not made or broke."""
    category, told, hint = _diagnosed(error)
    final = ModelFileError(f"cannot download {shown}: {told}", category=category, hint=hint)
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
    return final if untrusted else TryAgainError(final)


def _diagnosed(error: httpx.TransportError) -> tuple[Category, str, str]:
    import httpx  # noqa: PLC0415  only a download pays for it

    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Category.NETWORK_DNS, "the host name could not be resolved", _NETWORK
    if tls := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        return Category.NETWORK_TLS, f"TLS failed: {tls}", "SSL_CERT_FILE names a file of certificates to trust"
    if isinstance(error, httpx.ConnectTimeout):
        return Category.TIMEOUT_CONNECT, "no connection before the deadline", _NETWORK
    if isinstance(error, httpx.TimeoutException):
        return Category.TIMEOUT_IDLE, "the server has fallen silent", "pull again: it goes on from where it was"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return Category.NETWORK_REFUSED, f"no connection ({causes[-1]})", _NETWORK
    told = f"the connection broke ({causes[-1]})"
    return Category.NETWORK_RESET, told, "pull again: it goes on from where it was"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
