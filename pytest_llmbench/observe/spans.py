"""What becomes of calls as spans: plain records, made without OpenTelemetry; `outbox` hands them on.

A run is one trace. Its id follows from the run's, and a test's span id from both, so every process of a run knows whose
child a call is without being told. A question that is tried again is a span of its own around its attempts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from pytest_llmbench.observe import genai_names as names
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Outcome
from pytest_llmbench.redaction import redact

Value = str | int | float | bool | Sequence[str]

_MESSAGE = 500
"""Characters of a failure's message."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span, over. Times are nanoseconds since 1970."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int = 0
    """0: it has none."""
    is_call: bool = False
    """Whether something was asked of another process (kind CLIENT), or not (INTERNAL)."""
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    events: tuple[SpanEvent, ...] = ()
    is_error: bool = False
    message: str = field(default="", repr=False)
    """Of an error; without keys."""


@lru_cache(maxsize=16)
def trace_id(run_id: str) -> int:
    """The trace of a run: 16 bytes."""
    return _digest(16, "run", run_id)


def test_span_id(run_id: str, test_key: str) -> int:
    """The span of a test: 8 bytes; 0, which is none, for what no test asks."""
    return _digest(8, "test", run_id, test_key) if test_key else 0


def question_span_id(call: CallBegun) -> int:
    """The span around all attempts at one question."""
    return _digest(8, "question", call.run_id, call.test_key, call.request_hash, str(call.trial))


def call_span_id(call: CallBegun) -> int:
    """The span of one attempt."""
    return int(call.call_id[:16], 16) or 1


def run_span_id(run_id: str, began_at: str) -> int:
    """The span of one session of a run; a run that is gone on with has several."""
    return _digest(8, "session", run_id, began_at)


def traceparent(call: CallBegun) -> str:
    """W3C's header for the next hop."""
    return f"00-{trace_id(call.run_id):032x}-{call_span_id(call):016x}-01"


def of_call(ended: CallEnded, parent_id: int, *, content: bool) -> Span:
    """One attempt.

    Args:
        ended: it.
        parent_id: the span of its question or its test.
        content: whether what was said goes along.
    """
    call = ended.call
    # Of a batch nobody timed how long a question took: it has no length, and stands where its answer came.
    start_ns = nanoseconds(ended.ended_at if call.batch else call.begun_at)
    attributes = {**_request(call), **_response(ended), **_origin(call)}
    return Span(
        name=f"chat {redact(call.model_id or call.model)}",
        trace_id=trace_id(call.run_id),
        span_id=call_span_id(call),
        parent_id=parent_id,
        is_call=ended.outcome is not Outcome.CACHED,
        start_ns=start_ns,
        end_ns=start_ns + round((ended.duration_s or 0.0) * 1e9),
        attributes={**attributes, **_content(ended)} if content else attributes,
        is_error=_failed(ended),
        message=redact(ended.message)[:_MESSAGE],
    )


def of_question(ended: CallEnded, first_at: str) -> Span:
    """All attempts at a question that was asked more than once.

    Args:
        ended: the last of them.
        first_at: when the first began; ISO 8601, UTC.
    """
    call = ended.call
    told = given({names.ATTEMPTS: call.attempt, names.OUTCOME: str(ended.outcome)})
    kept = {name.key for name in names.OF_QUESTIONS}
    begun_ns = nanoseconds(call.begun_at)
    return Span(
        name=f"ask {redact(call.model)}",
        trace_id=trace_id(call.run_id),
        span_id=question_span_id(call),
        parent_id=test_span_id(call.run_id, call.test_key),
        start_ns=nanoseconds(first_at),
        end_ns=begun_ns + round((ended.duration_s or 0.0) * 1e9),
        attributes={**{key: value for key, value in _origin(call).items() if key in kept}, **told, **_error(ended)},
        is_error=_failed(ended),
    )


def nanoseconds(moment: str) -> int:
    """Since 1970, of a moment in ISO 8601."""
    return round(datetime.fromisoformat(moment).timestamp() * 1e6) * 1000


def given(values: Mapping[names.Name, Any]) -> dict[str, Value]:
    """Attributes without those that nobody knows, and without keys: providers write some of them."""
    return {
        name.key: _without_keys(value)
        for name, value in values.items()
        if value is not None and value not in ("", [], ())
    }


def _without_keys(value: Any) -> Value:
    if isinstance(value, str):
        return redact(value)
    found: Value = [redact(each) for each in value] if isinstance(value, list) else value
    return found


def _digest(size: int, *parts: str) -> int:
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:size]) or 1


def _failed(ended: CallEnded) -> bool:
    return ended.outcome in {Outcome.FAILED, Outcome.CANCELLED}


def _error(ended: CallEnded) -> dict[str, Value]:
    return given({names.ERROR_TYPE: ended.category})


def _request(call: CallBegun) -> dict[str, Value]:
    extra, (address, port) = call.extra, _server(call.host)
    stop = extra.get("stop")
    wants_json = isinstance(extra.get("response_format"), Mapping)
    return given(
        {
            names.OPERATION: "chat",
            names.PROVIDER: names.PROVIDERS.get(call.provider, call.provider),
            names.REQUEST_MODEL: call.model_id or call.model,
            names.MAX_TOKENS: call.max_tokens,
            names.TEMPERATURE: call.temperature,
            names.SEED: call.seed,
            names.STREAM: call.stream,
            names.TOP_P: _number(extra.get("top_p")),
            names.TOP_K: _number(extra.get("top_k")),
            names.FREQUENCY_PENALTY: _number(extra.get("frequency_penalty")),
            names.PRESENCE_PENALTY: _number(extra.get("presence_penalty")),
            names.STOP: [stop] if isinstance(stop, str) else list(map(str, stop)) if isinstance(stop, list) else None,
            names.OUTPUT_TYPE: "json" if wants_json else None,
            names.SERVER_ADDRESS: address,
            names.SERVER_PORT: port,
        }
    )


def _response(ended: CallEnded) -> dict[str, Value]:
    usage, cost, is_sent = ended.usage, ended.cost, ended.outcome is not Outcome.CACHED
    told = {
        names.RESPONSE_MODEL: _served(ended),
        names.FINISH_REASONS: [ended.finish_reason] if ended.finish_reason else None,
        names.OUTCOME: str(ended.outcome),
        names.COST: cost.usd if is_sent else None,
        names.COST_SOURCE: cost.source,
        names.RETRY_IN: ended.retry_in_s,
        names.STATUS_CODE: ended.status,
        names.ERROR_TYPE: ended.category,
    }
    used = {
        names.FIRST_CHUNK: ended.ttft_s,
        names.INPUT_TOKENS: usage.prompt_tokens,
        names.OUTPUT_TOKENS: usage.completion_tokens,
        names.CACHE_READ: usage.cached_tokens,
        names.CACHE_WRITTEN: usage.cache_write_tokens,
        names.REASONING_TOKENS: usage.reasoning_tokens,
        names.ESTIMATED: usage.estimated or None,
    }
    return given({**told, **(used if is_sent else {})})  # tokens from a cache are not used again


def _served(ended: CallEnded) -> str:
    """Servers of this machine tell a file's path, in which its user's name stands: its last part."""
    return ended.served_model if ended.call.provider else PurePath(ended.served_model).name


def _origin(call: CallBegun) -> dict[str, Value]:
    return given(
        {
            names.CALL: call.call_id,
            names.CORRELATION: call.correlation_id,
            names.RUN: call.run_id,
            names.TEST: call.test_key,
            names.SAMPLE: call.sample,
            names.USE_CASE: call.use_case,
            names.TRIAL: call.trial,
            names.ATTEMPT: call.attempt,
            names.ROLE: call.role,
            names.MODEL: call.model,
            names.REQUEST_HASH: call.request_hash,
        }
    )


def _server(host: str) -> tuple[str, int | None]:
    address, _, port = host.rpartition(":")
    return (address.strip("[]"), int(port)) if address and port.isdecimal() else (host, None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _content(ended: CallEnded) -> dict[str, Value]:
    asked = [{"role": redact(str(each.get("role", ""))), "parts": list(_parts(each))} for each in ended.call.messages]
    said: list[dict[str, Any]] = [{"type": "text", "content": redact(ended.text)}] if ended.text else []
    said = [*([{"type": "reasoning", "content": redact(ended.reasoning)}] if ended.reasoning else []), *said]
    for each in ended.tool_calls:
        named = {"id": redact(each.id), "name": redact(each.name)}
        said.append({"type": "tool_call", **named, "arguments": redact(each.arguments)})
    answer = [{"role": "assistant", "parts": said, "finish_reason": redact(ended.finish_reason)}] if said else []
    told = {names.INPUT_MESSAGES: asked, names.OUTPUT_MESSAGES: answer}
    return {name.key: json.dumps(each, ensure_ascii=False) for name, each in told.items() if each}


def _parts(message: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The texts of a message; of pictures and sounds only that they are there."""
    content = message.get("content")
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or ():
        kind = redact(str(part.get("type", ""))) if isinstance(part, Mapping) else "unknown"
        yield {"type": "text", "content": redact(str(part.get("text", "")))} if kind == "text" else {"type": kind}
