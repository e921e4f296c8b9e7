"""The reference page of traces."""

from __future__ import annotations

from collections.abc import Sequence

from generating.tables import table

from pytest_llmbench.observe import genai_names as names
from pytest_llmbench.observe.deliveries import PATIENCE_S
from pytest_llmbench.observe.outbox import BATCH, EVERY_S, FLUSH_S, MOST

_SPANS = (
    ("chat MODEL", "CLIENT", "a call to a model: one attempt", names.OF_CALLS),
    ("ask MODEL", "INTERNAL", "a question that is tried again, around its attempts", names.OF_QUESTIONS),
    ("test KEY", "INTERNAL", "a test", names.OF_TESTS),
    ("run", "INTERNAL", "one session of a run", names.OF_RUNS),
)


def traces_page() -> str:
    """Spans, their attributes, events, and how they are sent."""
    spans = table(("span", "kind", ""), [(f"`{name}`", kind, about) for name, kind, about, _ in _SPANS])
    sections = [f"\n## {name}\n\n{about[0].upper()}{about[1:]}.\n\n{_table(of)}" for name, _, about, of in _SPANS]
    providers = [(f"`{ours}`" if ours else "of this machine", f"`{told}`") for ours, told in names.PROVIDERS.items()]
    scores = _SCORES + _table(names.OF_EVALUATIONS)
    called = _PROVIDERS + table(("provider", "is called"), providers)
    return _INTRO + spans + _TREE + "".join(sections) + scores + called + _SENDING


def _table(several: Sequence[names.Name]) -> str:
    return table(("attribute", ""), [(f"`{name.key}`", name.meaning) for name in several])


_INTRO = f"""# Traces

With [`--llmbench-traces`](options.md#traces) every process of a run sends spans to an OpenTelemetry collector, over
OTLP/HTTP. How to use it: [Watch a run](../how-to/watch-a-run.md#traces).

The names are those of OpenTelemetry's semantic conventions for generative AI as of version {names.VERSION}, which are
still in development; `llmbench.*` are ours. Keys never leave, prompts and answers only with
[`request_log: content`](options.md#request_log).

"""

_TREE = """
A run is one trace: run → tests → calls, with a question between a test and its calls where it is tried again.
The trace's id follows from the run's, so a run that is gone on with is the same trace, with another `run` span. Replies
are asked for ahead, so a call may lie before its test in time; calls whose test has no span are those of a worker that
died. What `llmbench chat`, `ab` and `tune` ask is one test. A reply from the response cache is an `INTERNAL` span
without length and without usage; an answer that came with a batch stands where it was fetched, without length. What a
profile sends to be timed is in the request log alone: sending spans would take processor time from what is timed next.

Status is `ERROR` for failed calls, for tests that ended as infra errors, over budget or by an error of their own, and
for runs with an exit code other than 0. A wrong answer is no error.
"""

_SCORES = f"""
## {names.EVALUATION}

An event of a test's span for each score: of a validator, a judge, or the test's own `assert`. What could not be scored
has none.

"""

_PROVIDERS = f"""
## Providers

`{names.PROVIDER.key}` is the provider's name as it stands before the `/` of a model, but for:

"""

_SENDING = f"""
## Sending

OpenTelemetry's own exporter sends, so its variables say where to and how: `OTEL_EXPORTER_OTLP_ENDPOINT` (default
`http://localhost:4318`), `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `..._HEADERS`, `..._TIMEOUT`, `..._COMPRESSION`,
`..._CERTIFICATE`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`. `OTEL_SDK_DISABLED=true` switches traces off. Values
of headers are taken out of every text, as keys are.

A thread sends, in batches of {BATCH} or every {EVERY_S:g} s. At most {MOST} spans wait; what comes on top is dropped.
The end of a process waits {FLUSH_S:g} s at most for the rest, and the one that ends a run up to {PATIENCE_S:g} s more
for others of the run that still send. What did not arrive, of all processes of a run, is told in one sentence by the
one that ends it, and costs nothing else. No provider of OpenTelemetry is set for the process, and nothing in it is
instrumented.

Requests to servers of this machine carry W3C's `traceparent` with the span of the attempt. Others get it where their
[provider or server](configuration.md#providerdef) says `trace: true`; a hosted provider hears of no trace.
"""
