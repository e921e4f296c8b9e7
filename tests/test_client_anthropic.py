"""Anthropic's Messages API: what is read out of a message, when it is complete, and how it fails."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from itertools import pairwise

import pytest
from asking import KEY, PATIENT, ask, ask_at
from raw_servers import raw_server, read_request
from test_client_record import Listener, stamped

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.anthropic import WIRE, chat
from pytest_llmbench.clients.stream import StreamRecord
from pytest_llmbench.demo import Answer, Close, DemoProvider, Event, Failure, Page, Raw, Reset, Wait
from pytest_llmbench.demo.anthropic_form import answer_page
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.records import Usage

FOREVER = Wait(float("inf"))
START = Event(
    {
        "type": "message_start",
        "message": {
            "model": "claude-x",
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 1},
        },
    },
    "role",
    "message_start",
)


def event(kind: str, **fields) -> Event:
    return Event({"type": kind, **fields}, "content", kind)


def delta(**fields) -> Event:
    return event("content_block_delta", index=0, delta=fields)


def text(said: str) -> Event:
    return delta(type="text_delta", text=said)


def end(reason: str | None = "end_turn", **usage) -> Event:
    return event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5, **usage})


STOP = event("message_stop")
PING = event("ping")


def asked(reaction, **options):
    return ask(reaction, wire="anthropic", **options)


def failure_of(reaction, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        asked(reaction, **options)
    return caught.value


def stream_of(*events: Event) -> bytes:
    return b"".join(each.data for each in events)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_message_is_put_together(stream):
    """Text, reasoning, counts and the served model are told as those of any other provider."""
    answer = Answer("One two three.", reasoning=["hm ", "well "], prompt_tokens=9, completion_tokens=6)
    reply = asked(answer, stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("One two three.", "hm well ", "stop")
    assert (reply.model, reply.served_model) == ("demo/name", "served-name")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (9, 6)
    assert reply.streamed is stream
    assert (reply.timing.ttft_s is not None) is stream


def test_cached_and_written_tokens_are_among_the_prompt_tokens():
    """Anthropic tells them apart from its input tokens; the last word on each count is the one that holds."""
    reply = asked(Page([START, text("hi"), end(cache_creation_input_tokens=3, output_tokens=8), STOP]))
    usage = reply.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.cache_write_tokens) == (20, 7, 3)
    assert (usage.completion_tokens, usage.billed_usd) == (8, None)


def test_thinking_tokens_are_the_reasoning_tokens():
    """As far as the API tells them."""
    details = {"output_tokens_details": {"thinking_tokens": 4}}
    assert asked(Page([START, text("hi"), end(**details), STOP])).usage.reasoning_tokens == 4


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_why_it_ended_is_told_in_the_words_of_all_providers(told, ours):
    """A test need not know whom it asked."""
    assert asked(Page([START, text("hi"), end(told), STOP])).finish_reason == ours


def test_pings_and_empty_blocks_are_no_first_token():
    """They come long before the model has said anything."""
    begun = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    reply = asked(Page([START, PING, begun, PING, Wait(0.3), text("late"), end(), STOP]))
    assert reply.timing.headers_s < 0.3
    assert reply.timing.ttft_s >= 0.3


def test_thoughts_count_as_the_first_token_and_not_as_the_answer():
    """`ttft_s` ends at the first thought, `ttft_answer_s` at the first word."""
    reply = asked(Answer("Yes.", reasoning=["Let me ", "think. "], itl_s=0.15))
    assert reply.reasoning == "Let me think. "
    assert reply.timing.ttft_answer_s - reply.timing.ttft_s >= 0.25


def test_arguments_of_a_tool_call_are_generated_text_and_no_answer():
    """Signatures and citations are neither."""
    signature = delta(type="signature_delta", signature="x" * 20)
    arguments = delta(type="input_json_delta", partial_json='{"city": "Ulm"}')
    reply = asked(Page([START, signature, Wait(0.2), arguments, end("tool_use"), STOP]))
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")
    assert reply.timing.ttft_s >= 0.2
    assert reply.timing.ttft_answer_s == reply.timing.ttft_s


def test_events_of_kinds_yet_unknown_are_read_over():
    """The API announces that more will come."""
    new = event("content_block_glow", glow={"type": "blue"})
    assert asked(Page([START, new, delta(type="glow_delta", glow="x"), text("hi"), end(), STOP])).text == "hi"


def test_events_without_names_are_read_by_their_data():
    """As gateways send them that speak the format by half."""
    bare = [dataclasses.replace(each, name="") for each in (START, PING, text("a "), text("b"), end(), STOP)]
    reply = asked(Page(bare))
    assert (reply.text, reply.usage.completion_tokens) == ("a b", 5)


@pytest.mark.parametrize("missing", [{"done": False}, {"finish_reason": None}], ids=["no stop", "no reason"])
def test_either_terminal_frame_makes_a_message_complete(missing):
    """The reason why it ended, or the last event."""
    assert asked(Answer("One two.", **missing)).text == "One two."


@pytest.mark.parametrize("cut", [Close(), Reset(), None], ids=["closed", "reset", "ended as if complete"])
def test_a_stream_cut_after_any_event_is_never_complete(cut):
    """Until it was told why it ended; its prompt's tokens are known by then, what it generated is not."""
    answer = Answer("One two three.", reasoning=["hm "], cut=cut, prompt_tokens=4)
    kinds = [step.kind for step in answer_page(answer, {"stream": True, "messages": []}).steps if type(step) is Event]
    finished = kinds.index("finish") + 1
    for count in range(finished):
        failure = failure_of(dataclasses.replace(answer, cut_after_events=count))
        assert failure.category in {Category.STREAM_TRUNCATED, Category.NETWORK_RESET}
        assert "One two three.".startswith(failure.partial_text)
        assert failure.usage is None or failure.usage == Usage(4, None, 0, 0)
    for count in range(finished, len(kinds)):
        assert asked(dataclasses.replace(answer, cut_after_events=count)).text == "One two three."


def test_a_stream_cut_at_every_byte_is_never_complete():
    """Whatever half a frame looks like; only with the last byte of the reason is the message whole."""
    whole = stream_of(START, text("One "), text("two."), end(), STOP)
    complete_at = whole.index(b"event: message_stop")
    cuts = iter(range(len(whole)))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    def play(connection):
        read_request(connection)
        connection.sendall(head + whole[: next(cuts)])

    with raw_server(play) as address:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m", format="anthropic")
        asking = partial(chat, endpoint, ChatRequest("m", ({"role": "user", "content": "hi"},)), PATIENT)
        for _ in range(complete_at):
            with pytest.raises(WireError, match="without a finish reason") as caught:
                http.run(asking())
            assert caught.value.category is Category.STREAM_TRUNCATED
            assert "One two.".startswith(caught.value.partial_text)
        for _ in range(complete_at, len(whole)):
            assert http.run(asking()).text == "One two."


def test_the_record_of_a_stream_is_the_same_however_it_is_cut():
    """Parsing late changes nothing but the moment of the work; a ping moves no deadline."""
    words = text('a "quoted" \\"error\\" and message_stop ')
    whole = stream_of(START, PING, text("One "), PING, words, text("two."), end(), STOP)
    for cut in range(1, len(whole)):
        listener = Listener()
        record = StreamRecord(listener, WIRE)
        chunks = [whole[:cut], whole[cut:]]
        over = next(number for number, chunk in enumerate(chunks) if record(float(number), chunk))
        assert over == 1
        assert [(each.arrived_at, each.data) for each in record.events()] == stamped(chunks)


def test_plain_tokens_are_kept_as_they_came_and_pings_move_nothing():
    """Nothing is parsed between two tokens; only generated text is a sign of life."""
    listener = Listener()
    record = StreamRecord(listener, WIRE)
    sent = [START, text("a"), text("b"), PING, text("c")]
    for number, each in enumerate(sent):
        assert not record(float(number), each.data)
    assert [kept[0] for kept in record._record if isinstance(kept, tuple)] == [2.0, 4.0]
    assert listener.moved == [1.0, 2.0, 4.0]


def test_pings_keep_no_deadline_away():
    """Neither that of the first token nor that of silence."""
    pings = [Wait(0.1), Raw(PING.data)] * 100
    assert failure_of(Page([START, *pings]), deadlines=dataclasses.replace(PATIENT, ttft_s=0.6)).category == (
        Category.TIMEOUT_TTFT
    )
    silent = failure_of(Page([START, text("x"), *pings]), deadlines=dataclasses.replace(PATIENT, idle_s=0.6))
    assert (silent.category, silent.partial_text) == (Category.TIMEOUT_IDLE, "x")


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        ("overloaded_error", Category.OVERLOADED),
        ("rate_limit_error", Category.RATE_LIMITED),
        ("billing_error", Category.QUOTA_EXHAUSTED),
        ("authentication_error", Category.AUTH),
        ("api_error", Category.STREAM_ERROR_EVENT),
        ("timeout_error", Category.STREAM_ERROR_EVENT),
    ],
)
def test_an_error_event_ends_the_stream_with_its_category(kind, category):
    """Though the connection stays open; what had come is kept, and so is what the prompt used."""
    error = event("error", error={"type": kind, "message": "too many of you"})
    failure = failure_of(Page([START, text("half "), error, FOREVER]))
    assert (failure.category, failure.partial_text, failure.status) == (category, "half ", 200)
    assert "too many of you" in str(failure)
    assert (failure.usage.prompt_tokens, failure.usage.completion_tokens) == (17, None)


@pytest.mark.parametrize(
    ("status", "kind", "message", "category"),
    [
        (400, "invalid_request_error", "messages: field required", Category.INVALID_REQUEST),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", Category.CONTEXT_LENGTH),
        (400, "invalid_request_error", "Your credit balance is too low to go on", Category.QUOTA_EXHAUSTED),
        (401, "authentication_error", "invalid x-api-key", Category.AUTH),
        (403, "permission_error", "not yours", Category.AUTH),
        (404, "not_found_error", "model: claude-nobody", Category.MODEL_MISSING),
        (413, "request_too_large", "too many bytes", Category.INVALID_REQUEST),
        (429, "rate_limit_error", "would exceed the limit of input tokens per minute", Category.RATE_LIMITED),
        (500, "api_error", "sorry", Category.SERVER),
        (529, "overloaded_error", "Overloaded", Category.OVERLOADED),
    ],
)
def test_a_refusal_gets_its_category(status, kind, message, category):
    """By type and message where the status does not tell; the headers come along for whoever adapts to limits."""
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}})
    failure = failure_of(Failure(status, body=body, headers={"Retry-After": "7"}))
    assert (failure.category, failure.status, failure.headers["retry-after"]) == (category, status, "7")
    assert message in str(failure)
    assert failure.usage is None


def test_a_spent_limit_is_no_rate_limit():
    """Both are a 429; waiting helps against one of them alone."""
    error = {"type": "rate_limit_error", "message": "limit", "details": {"error_code": "enforced_spend_limit_reached"}}
    failure = failure_of(Failure(429, body=json.dumps({"type": "error", "error": error})))
    assert failure.category is Category.QUOTA_EXHAUSTED


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"type": "glow"}'])
def test_json_that_is_no_message_is_no_empty_reply(body):
    """A wrong address may well answer 200 with JSON."""
    failure = failure_of(Page([Raw(body)], content_type="application/json"), stream=False)
    assert failure.category is Category.STREAM_MALFORMED
    assert "Anthropic-compatible" in failure.hint


@pytest.mark.parametrize(
    "data",
    [
        b"{not json}",
        b"[1, 2]",
        b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": 7}}',
        b'{"type": "content_block_delta", "delta": []}',
        b'{"type": "content_block_delta", "delta": {"type": []}}',
        b'{"type": "message_delta", "delta": {"stop_reason": 1}}',
        b"[" * 100_000,
    ],
    ids=lambda data: data[:30].decode(),
)
def test_an_event_that_is_nonsense_is_malformed(data):
    """Never half a reply, never a crash of ours."""
    failure = failure_of(Page([START, text("word"), Raw(b"data: " + data + b"\n\n"), end(), STOP]))
    assert (failure.category, failure.partial_text) == (Category.STREAM_MALFORMED, "word")


def test_the_key_goes_out_in_its_own_header_and_comes_back_in_no_error():
    """With the version of the API."""
    with DemoProvider(Failure(401, f"no such key: {KEY}")) as provider:
        with pytest.raises(WireError) as caught:
            ask_at(provider, wire="anthropic")
        headers = provider.log[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert KEY[:10] not in str(caught.value)


def test_a_message_in_pieces_of_any_size_is_the_same():
    """Over a real socket, byte by byte in places where the fast path looks."""
    whole = stream_of(START, text("ü"), text("😀"), text("end"), end(), STOP)
    places = [0, 40, whole.index("😀".encode()) + 2, whole.index(b"message_delta") + 5, len(whole)]
    steps = [step for a, b in pairwise(places) for step in (Raw(whole[a:b]), Wait(0.03))]
    assert asked(Page(steps)).text == "ü😀end"
