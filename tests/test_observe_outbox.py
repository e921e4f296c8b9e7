"""The outbox of spans: how long its end waits, what is lost and told, and that nothing of the user's is touched."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from otlp_collector import Collector

from pytest_llmbench import clock
from pytest_llmbench.observe import outbox as module
from pytest_llmbench.observe.outbox import BATCH, MOST, Delivery, Outbox
from pytest_llmbench.observe.spans import Span
from pytest_llmbench.redaction import redact, register_environment


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the usual variable points to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def a_span(name: str = "a") -> Span:
    return Span(name=name, trace_id=1, span_id=2, start_ns=1, end_ns=2, attributes={"n": 1})


def test_a_loss_long_ago_does_not_shorten_the_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is whether the last batch arrived."""
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    tried = threading.Event()

    def broken() -> Span:
        tried.set()
        raise ValueError("no span")

    outbox = Outbox({"service.name": "test"})
    outbox.put(broken)
    assert tried.wait(10)
    outbox.put(a_span)
    deadline = clock.monotonic() + 10
    while not collector.spans and clock.monotonic() < deadline:
        clock.sleep(0.01)
    collector.answers.clear()
    outbox.put(a_span)
    threading.Timer(0.6, collector.answers.set).start()
    done = outbox.close()
    assert (done.sent, done.lost) == (2, 1)


def test_what_is_put_down_last_is_sent_too(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the thread has just looked, and found nothing more."""
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    looked, goes_on = threading.Event(), threading.Event()

    class Slow(Outbox):
        def _send_all(self) -> None:
            super()._send_all()
            looked.set()
            goes_on.wait(10)

    outbox = Slow({"service.name": "test"})
    assert looked.wait(10)
    outbox.put(a_span)
    threading.Timer(0.1, goes_on.set).start()
    done = outbox.close()
    assert (done.sent, done.lost) == (1, 0)


def test_a_collector_that_never_answers_does_not_hold_up_the_end(collector: Collector) -> None:
    """The bound is ours: the exporter's own timeout is ten seconds, for each of several tries."""
    collector.answers.clear()
    outbox = Outbox({"service.name": "test"})
    outbox.put(a_span)
    begun = clock.monotonic()
    done = outbox.close()
    assert clock.monotonic() - begun < 5
    assert (done.sent, done.lost, done.reason) == (0, 1, "no answer within 1.5 s")


def test_the_reason_told_is_the_collectors_and_not_of_our_own_giving_up(collector: Collector) -> None:
    """An exporter that was shut down says so of each further batch."""
    collector.answers.clear()
    outbox = Outbox({"service.name": "test"})
    for _ in range(3 * BATCH):
        outbox.put(a_span)
    assert outbox.close() == Delivery(0, 3 * BATCH, "no answer within 1.5 s")


def test_spans_beyond_the_queue_are_dropped_and_counted(collector: Collector) -> None:
    """While the collector is slow nothing grows, and nobody waits."""
    collector.answers.clear()
    outbox = Outbox({"service.name": "test"})
    for n in range(MOST + 500):
        outbox.put(lambda n=n: a_span(f"span {n}"))
    collector.answers.set()
    done = outbox.close()
    assert done.sent + done.lost == MOST + 500
    assert done.lost >= 100
    assert len(collector.spans) >= done.sent


def test_a_collector_that_refuses_is_named_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector(status=401) as refusing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url)
        outbox = Outbox({"service.name": "test"})
        outbox.put(a_span)
        done = outbox.close()
    assert (done.sent, done.lost) == (0, 1)
    assert "401" in done.reason


def test_a_collector_that_is_not_there_is_told_in_the_words_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not as one object of the library within another, cut amid a word."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{line.getsockname()[1]}")
    outbox = Outbox({"service.name": "test"})
    outbox.put(a_span)
    assert outbox.close() == Delivery(0, 1, "Connection refused")


def test_what_an_exporter_says_is_told_without_what_it_tried() -> None:
    """Long accounts end after a word."""
    tried = "Transient error {} encountered while exporting spans batch, retrying in 0.8s."
    assert module._shown(tried.format("Service Unavailable")) == "Service Unavailable"
    silent = "HTTPConnectionPool(host='lab', port=4318): Read timed out. (read timeout=10)"
    assert module._shown(tried.format(silent)) == "Read timed out. (read timeout=10)"
    refused = "Failed to export spans batch code: 401, reason: Unauthorized"
    assert module._shown(refused) == refused
    long = module._shown("word " * 100)
    assert len(long) <= 200
    assert long.endswith(" word…")


def test_the_users_own_names_and_headers_go_before_ours(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables that every exporter of OpenTelemetry takes."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=search")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    outbox = Outbox({"service.name": "test", "service.version": "1"})
    outbox.put(a_span)
    assert outbox.close().sent == 1
    [span] = collector.spans
    assert {span.resource[name] for name in ("service.name", "service.version", "team")} == {"nightly", "1", "search"}
    assert collector.headers[0]["x-tenant"] == "a b"


def test_keys_of_collectors_are_taken_out_of_texts() -> None:
    """Hosted collectors want theirs in a header, so it stands in a variable that no rule of names finds."""
    register_environment({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20cGstbGYtMTIzOnNrLWxmLTQ1Ng"})
    assert redact("it says Basic cGstbGYtMTIzOnNrLWxmLTQ1Ng here") == "it says [redacted] here"
    assert "cGstbGYtMTIz" not in redact("cGstbGYtMTIzOnNrLWxmLTQ1Ng")


def test_nothing_of_the_users_own_opentelemetry_is_touched(collector: Collector) -> None:
    """No provider is set for the process, and what it logs by itself is still heard."""
    from opentelemetry import trace

    before = trace.get_tracer_provider()
    outbox = Outbox({"service.name": "test"})
    outbox.put(a_span)
    outbox.close()
    assert trace.get_tracer_provider() is before
    assert trace.get_current_span() is trace.INVALID_SPAN
