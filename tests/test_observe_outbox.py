"""The end of an outbox: how long it waits, and that nothing is left in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from otlp_collector import Collector

from pytest_llmbench import clock
from pytest_llmbench.observe import outbox as module
from pytest_llmbench.observe.outbox import Outbox
from pytest_llmbench.observe.spans import Span


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the usual variable points to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def a_span() -> Span:
    return Span(name="a", trace_id=1, span_id=2, start_ns=1, end_ns=2, attributes={"n": 1})


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
