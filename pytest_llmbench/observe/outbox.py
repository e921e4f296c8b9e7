"""Spans on their way to a collector (OTLP over HTTP): put down at once, sent by a thread of its own, never waited for.

OpenTelemetry's own exporter sends them, so the usual variables say where to and how: `OTEL_EXPORTER_OTLP_ENDPOINT`,
`..._HEADERS`, `..._TIMEOUT`, `..._COMPRESSION`, `..._CERTIFICATE`. Its batching is not used: it cannot be told how long
the end may take, and it writes into the log of whatever test runs just then. Nothing global of OpenTelemetry is set, so
whoever uses it for their own work sees nothing of this.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from pytest_llmbench import redaction
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra
from pytest_llmbench.observe.spans import Span

MOST = 4096
"""Spans that wait at most; what comes on top is dropped and counted."""
BATCH = 128
EVERY_S = 1.0
"""How often a batch goes that is not full."""
FLUSH_S = 1.5
"""How long the end waits for what is not sent yet …"""
FLUSH_FAILING_S = 0.3
"""… and where nothing of the last batch arrived."""
LET_GO_S = 0.2

_THREAD = "llmbench-traces"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_TALKATIVE = (
    *(_EXPORTER, "opentelemetry.exporter.otlp.common.http", "opentelemetry.attributes", "urllib3.connectionpool"),
)
_REASON = 200
_SYSTEM = re.compile(r"\[(?:Errno -?\d+|SSL[^\]]*)\] (?P<why>[^\"'()]+)")
_TRIED = re.compile(r"Transient error (?P<why>.*) encountered while exporting .*")
_POOL = re.compile(r"^HTTPS?ConnectionPool\(.*?\): ")

Make = Callable[[], Span]
"""Makes a span when its turn has come: what takes time is no business of whoever makes a call."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of spans."""

    sent: int
    lost: int
    reason: str = ""
    """Why the last one was lost; without keys."""


class Outbox:
    """One process's; its thread ends with `close`.

    Args:
        about: what is told of this process beside each span: `service.name`, ...; `OTEL_SERVICE_NAME` and
            `OTEL_RESOURCE_ATTRIBUTES` go before it.

    Raises:
        MissingExtraError: the extra `otel` is not installed.
        UsageError: a variable of OpenTelemetry has a value that cannot be.
    """

    def __init__(self, about: Mapping[str, str]) -> None:
        redaction.register_environment(os.environ)
        redaction.register_headers(os.environ)
        otel = _otel()
        self._exporter = _exporter(otel)
        self._success = otel.SpanExportResult.SUCCESS
        self._maker = otel.Maker(about)
        self._waiting: deque[Make] = deque()
        self._wake = threading.Event()
        self._closing = self._given_up = self._is_failing = False
        self._sent = self._lost = self._under_way = 0
        self._reason = ""
        self._quiet = _Quiet(self._heard)
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self._quiet)
        self._thread = threading.Thread(target=self._serve, name=_THREAD, daemon=True)
        self._thread.start()

    def put(self, make: Make) -> None:
        """Have a span sent; may be called in any thread, and never waits."""
        if len(self._waiting) >= MOST:
            self._lost += 1
            self._reason = self._reason or "more came than could be sent"
            return
        self._waiting.append(make)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def close(self) -> Delivery:
        """Send what is left, for `FLUSH_S` at most, and end; what cannot be sent by then is given up."""
        patience_s = FLUSH_FAILING_S if self._is_failing else FLUSH_S
        self._closing = True
        self._wake.set()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._reason = self._reason or f"no answer within {patience_s:g} s"
            self._given_up = True  # what is heard from now on is of our own doing
            self._exporter.shutdown()  # breaks its waiting off
            self._thread.join(LET_GO_S)
        else:
            self._exporter.shutdown()
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self._quiet)
        left = len(self._waiting) + self._under_way
        return Delivery(self._sent, self._lost + left, self._reason if self._lost or left else "")

    def _serve(self) -> None:
        while not self._closing:
            self._wake.wait(EVERY_S)
            self._wake.clear()
            self._send_all()
        self._send_all()  # what was put down while it was just done

    def _send_all(self) -> None:
        while self._waiting and not self._given_up:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._under_way = len(batch)
            self._is_failing = not self._send(batch)
            if self._is_failing:
                self._lost += len(batch)
            else:
                self._sent += len(batch)
            self._under_way = 0

    def _send(self, batch: list[Make]) -> bool:
        try:
            spans = [self._maker.made(make()) for make in batch]
            return bool(self._exporter.export(spans) is self._success)
        except Exception as error:  # noqa: BLE001 - the exporter's faults are its own: what it loses is counted
            self._heard(f"{type(error).__name__}: {error}")
            return False

    def _heard(self, said: str) -> None:
        if not self._given_up:
            self._reason = _shown(said)


class _Quiet(logging.Filter):
    """Keeps what is logged while we send out of the logs of tests; the last word of it tells why nothing arrives."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def filter(self, record: logging.LogRecord) -> bool:
        if record.threadName != _THREAD:
            return True
        if record.levelno >= logging.WARNING:
            self._tell(record.getMessage())
        return False


def endpoint() -> str:
    """Where spans go, to be shown: scheme, host and port."""
    told = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    try:
        parts = urlsplit(told or "http://localhost:4318")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address in OTEL_EXPORTER_OTLP_ENDPOINT"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _otel() -> ModuleType:
    """Our module that needs OpenTelemetry, imported now."""
    from_extra(_EXPORTER, "otel")
    return import_module("pytest_llmbench.observe.otel")


def _exporter(otel: ModuleType) -> Any:
    try:
        return otel.OTLPSpanExporter()
    except ValueError as error:
        raise UsageError(
            f"traces cannot be sent: {_shown(str(error))}", hint="look at the variables OTEL_EXPORTER_OTLP_*"
        ) from error


def _shown(said: str) -> str:
    return _shortened(_in_words(redaction.redact(" ".join(said.split()))))


def _in_words(said: str) -> str:
    """What the system says of a connection, out of the exporter's account of all it tried; else that account."""
    if system := _SYSTEM.search(said):
        return system["why"].strip()
    tried = _TRIED.fullmatch(said)
    return _POOL.sub("", tried["why"]) if tried else said


def _shortened(said: str) -> str:
    if len(said) <= _REASON:
        return said
    return f"{said[: _REASON - 1].rpartition(' ')[0] or said[: _REASON - 1]}…"
