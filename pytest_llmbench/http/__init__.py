"""The one HTTP door: asyncio on one background loop a process; each exchange connects anew, or takes from a `Pool`.

All network code runs on one daemon thread; `run` is its sync face. An exchange stamps what the metrics need (connected,
request written, headers) and each chunk of bytes on arrival, and holds our own deadlines, so that an answer which is
late is told apart by what it was late for. Redirects are never followed, proxy settings and `.netrc` of the environment
are not used, compression is not asked for, and every failure is a `WireError` with its category.
"""

from pytest_llmbench.http.connection import Sink, Stamps
from pytest_llmbench.http.deadlines import Deadlines
from pytest_llmbench.http.exchange import (
    MAX_BODY_BYTES,
    Exchange,
    Fetched,
    Request,
    fetch,
    open_exchange,
    read_body,
)
from pytest_llmbench.http.loop import Stop, before_closing, close, results, run
from pytest_llmbench.http.pool import Pool

__all__ = [
    "MAX_BODY_BYTES",
    "Deadlines",
    "Exchange",
    "Fetched",
    "Pool",
    "Request",
    "Sink",
    "Stamps",
    "Stop",
    "before_closing",
    "close",
    "fetch",
    "open_exchange",
    "read_body",
    "results",
    "run",
]
