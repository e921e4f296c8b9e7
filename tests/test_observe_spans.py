"""Calls and tests as spans: what they have, and what never gets into one."""

from __future__ import annotations

from pytest_llmbench.observe import session_spans, spans
from pytest_llmbench.observe.calls import CallBegun, CallEnded, Outcome
from pytest_llmbench.records import Cost, TestResult, ToolCall
from pytest_llmbench.redaction import register

KEY = "sk-canary-7f3a9b2c8d1e4f60"


def test_an_answer_from_the_cache_is_no_call_and_used_no_tokens() -> None:
    call = CallBegun(run_id="r", test_key="t", model="lab/m")
    span = spans.of_call(CallEnded(call=call, outcome=Outcome.CACHED, duration_s=None), 1, content=False)
    assert (span.is_call, span.start_ns) == (False, span.end_ns)
    assert not [name for name in span.attributes if "usage" in name or "cost_usd" in name]


def test_calls_on_behalf_of_one_sample_share_an_id_and_have_one_of_their_own() -> None:
    """`llmbench.call_id` finds the line of the request log."""
    calls = [CallBegun(run_id="r", test_key="t", model="lab/m", role=role) for role in ("subject", "judge")]
    ended = [CallEnded(call=call, outcome=Outcome.ANSWERED, duration_s=1.0) for call in calls]
    told = [spans.of_call(each, 1, content=False).attributes for each in ended]
    assert [each["llmbench.call_id"] for each in told] == [call.call_id for call in calls]
    assert told[0]["llmbench.call_id"] != told[1]["llmbench.call_id"]
    assert told[0]["llmbench.correlation_id"] == told[1]["llmbench.correlation_id"] == "r/t//0/1"


def test_where_a_model_file_lies_is_not_told() -> None:
    """The path has its user's name in it; a provider's slashes are part of the name."""
    for provider, served, told in (("", "/home/ada/models/tiny.gguf", "tiny.gguf"), ("hub", "org/tiny", "org/tiny")):
        call = CallBegun(run_id="r", test_key="t", model="m", provider=provider)
        ended = CallEnded(call=call, outcome=Outcome.ANSWERED, duration_s=1.0, served_model=served)
        assert spans.of_call(ended, 1, content=False).attributes["gen_ai.response.model"] == told


def test_no_text_of_anybody_carries_a_key_along() -> None:
    """Providers choose served model, finish reason and tools; tests choose names: all of them are looked through."""
    register(KEY)
    texts = {name: f"{name} {KEY}" for name in ("run_id", "test_key", "sample", "use_case", "model", "model_id")}
    asked = {"messages": ({"role": KEY, "content": KEY}, {"role": "user", "content": [{"type": KEY, "text": KEY}]})}
    call = CallBegun(**texts, **asked, provider=KEY, request_hash=KEY, base_url=f"http://{KEY}", extra={"stop": [KEY]})
    said = dict.fromkeys(("category", "message", "served_model", "finish_reason", "text", "reasoning"), KEY)
    tools = (ToolCall(KEY, KEY, KEY),)
    ended = CallEnded(call=call, outcome=Outcome.FAILED, duration_s=1.0, tool_calls=tools, cost=Cost("", KEY), **said)
    result = TestResult(nodeid=KEY, key=KEY, outcome="wrong", category=KEY, model=KEY, sample=KEY)
    told = (
        spans.of_call(ended, 1, content=True),
        spans.of_question(ended, call.begun_at),
        session_spans.of_test(result, KEY, call.begun_at, call.begun_at, content=True),
    )
    assert KEY not in "".join(f"{span.name} {span.message} {span.attributes} {span.events}" for span in told)
