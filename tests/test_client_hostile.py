"""Whatever JSON a provider sends: an answer, a `WireError` with a category, never an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.clients.formats import WIRES
from pytest_llmbench.clients.openai_usage import usage_of
from pytest_llmbench.clients.refusals import refusal, reported
from pytest_llmbench.errors import Category
from pytest_llmbench.records import Usage
from pytest_llmbench.secret import NO_KEY
from pytest_llmbench.sse import Event

LEAVES = st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=4)
NONSENSE = LEAVES | st.sampled_from([[], {}, [{}], [7], [[]], {"type": 7}, "\ud83d", "1e400", "text", "error"])
CALLS = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]
COUNTS = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_cache_hit_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
    "cost": 0.5,
    "is_byok": True,
    "cost_details": {"upstream_inference_cost": 0.25},
}
ERROR = {
    "code": 429,
    "type": "x",
    "status": "Y",
    "message": "no",
    "details": [{"reason": "r", "violations": [{"quotaId": "q"}]}],
    "innererror": {"code": "c"},
    "metadata": {"raw": "more", "limit_source": "s"},
}
OPENAI = [
    {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a", "tool_calls": CALLS}}]},
    {"choices": [{"index": 0, "delta": {"content": PARTS, "reasoning": "b", "refusal": "c"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "error": ERROR}], "timings": {"prompt_n": 1}},
    {"choices": [], "usage": COUNTS, "x_groq": {"usage": COUNTS}},
]
CLAUDE = [
    {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 4, "cache_read_input_tokens": 2}}},
    {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": "hm"}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}, "timings": {}},
    {"type": "message", "content": [{"type": "text", "text": "a"}], "usage": {"output_tokens_details": {}}},
    {"type": "message_stop"},
]


def bent(valid: Any) -> st.SearchStrategy[Any]:
    """The value with nonsense in some of its places."""
    if isinstance(valid, dict):
        whole = st.fixed_dictionaries({}, optional={name: bent(value) for name, value in valid.items()})
    elif isinstance(valid, list):
        whole = st.tuples(*(bent(value) for value in valid)).map(list)
    else:
        whole = st.just(valid)
    return st.integers(0, 9).flatmap(lambda dice: NONSENSE if dice == 0 else whole)


@pytest.mark.parametrize(("wire", "valid"), [("openai", OPENAI), ("anthropic", CLAUDE)], ids=["openai", "anthropic"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_event_breaks_the_decoder(wire, valid, data):
    """What is not of the format is told as malformed; what is, has a text and counts."""
    decoded = WIRES[wire].decoder()
    for number, event in enumerate(valid):
        if decoded.take(Event(float(number), json.dumps(data.draw(bent(event))).encode())):
            break
    decoded.closed()
    decoded.text.encode()
    assert all(f"{call.id}{call.name}{call.arguments}".encode() for call in decoded.tool_calls)
    assert isinstance(decoded.tokens(), Usage)
    assert isinstance(decoded.malformed, str)


@settings(max_examples=100, deadline=None)
@given(
    body=bent({"error": ERROR, "object": "error"}) | bent([{"error": ERROR}]),
    status=st.sampled_from([200, 400, 402, 403, 404, 413, 429, 500, 503, 529]),
)
def test_no_body_of_an_error_breaks_its_reading(body, status):
    """It has a category and a message of one line."""
    told = refusal("POST http://host/", status, {}, json.dumps(body).encode(), NO_KEY)
    assert isinstance(told.category, Category)
    assert told.message.isprintable()


@settings(max_examples=100, deadline=None)
@given(error=bent(ERROR).filter(lambda error: isinstance(error, dict)), streamed=st.booleans())
def test_no_error_event_breaks_its_reading(error, streamed):
    """As above, where the status said success."""
    assert reported("POST http://host/", 200, error, NO_KEY, streamed=streamed).message.isprintable()


@settings(max_examples=100, deadline=None)
@given(told=bent(COUNTS).filter(lambda told: isinstance(told, dict)), extra=st.integers(0, 40))
def test_counts_are_whole_numbers_and_bills_decimal_text(told, extra):
    """Or unknown; a part is never larger than its whole."""
    usage = usage_of({**told, "total_tokens": extra}, {})
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens)
    assert all(each is None or (isinstance(each, int) and each >= 0) for each in counts)
    assert usage.billed_usd is None or float(usage.billed_usd) >= 0
    if None not in counts:
        assert usage.cached_tokens <= usage.prompt_tokens
        assert usage.reasoning_tokens <= usage.completion_tokens
