"""OpenTelemetry's side of traces: our spans made into its own, and its exporter. Imported only where traces are sent.

Spans are told when they are over, with ids and times of their own; so they are made of them then, by a provider that is
nobody's but ours and hands them out in place of sending them.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from pytest_llmbench.observe import genai_names
from pytest_llmbench.observe.spans import Span

__all__ = ["Maker", "OTLPSpanExporter", "SpanExportResult"]


class _Ids(IdGenerator):
    """Those of the span that is made now."""

    trace_id = 1
    span_id = 1

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class _Last(SpanProcessor):
    """Keeps the span that was made last."""

    span: ReadableSpan | None = None

    def on_end(self, span: ReadableSpan) -> None:
        self.span = span


class Maker:
    """Makes spans; belongs to one thread.

    Args:
        about: what is told of this process beside each span; the variables of OpenTelemetry go before it.
    """

    def __init__(self, about: Mapping[str, str]) -> None:
        self._ids, self._last = _Ids(), _Last()
        # Not `Resource.create`: what is given to that goes before the variables of OpenTelemetry.
        resource = Resource(dict(about)).merge(OTELResourceDetector().detect())
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        provider.add_span_processor(self._last)
        self._tracer = provider.get_tracer(genai_names.SCOPE, about.get("service.version"))

    def made(self, span: Span) -> ReadableSpan:
        """The span as OpenTelemetry has it."""
        self._ids.trace_id, self._ids.span_id = span.trace_id, span.span_id
        begun = self._tracer.start_span(
            span.name,
            trace.set_span_in_context(_parent(span)),
            trace.SpanKind.CLIENT if span.is_call else trace.SpanKind.INTERNAL,
            span.attributes,
            start_time=span.start_ns,
        )
        for event in span.events:
            begun.add_event(event.name, event.attributes, event.at_ns)
        if span.is_error:
            begun.set_status(trace.Status(trace.StatusCode.ERROR, span.message or None))
        begun.end(span.end_ns)
        assert self._last.span is not None, "it was ended"
        return self._last.span


def _parent(span: Span) -> trace.Span:
    if not span.parent_id:
        return trace.INVALID_SPAN
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.NonRecordingSpan(
        trace.SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=sampled)
    )
