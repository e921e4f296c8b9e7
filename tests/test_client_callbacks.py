"""Text as it comes, headers when they come, connections that are kept: what asking many questions needs."""

from __future__ import annotations

import json
from functools import partial

import pytest
from asking import PATIENT, ask, ask_at, endpoint_of

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.asking import read_whole
from pytest_llmbench.clients.formats import FORMATS, WIRES
from pytest_llmbench.clients.stream import whole_characters
from pytest_llmbench.clients.wire import Hearing, Thought
from pytest_llmbench.demo import Answer, DemoProvider, Event, Failure, Page, Raw, Wait
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.records import Timing, Usage

EACH_FORMAT = pytest.mark.parametrize("wire", ["openai", "anthropic"])


@EACH_FORMAT
def test_text_is_handed_on_piece_by_piece_as_it_comes(wire):
    """Reasoning is no part of it; the reply is the same as without."""
    pieces: list[str] = []
    answer = Answer("One two three.", reasoning=["hm "], tool_arguments=["{}"])
    reply = ask(answer, wire=wire, on_text=pieces.append)
    assert pieces == ["One ", "two ", "three."]
    assert (reply.text, reply.reasoning) == ("One two three.", "hm ")


@EACH_FORMAT
def test_reasoning_is_handed_on_to_those_who_want_it(wire):
    """As pieces of a kind of their own, so that nobody takes it for the answer; half characters are put together."""
    pieces: list[str] = []
    answer = Answer("One two.", reasoning=["hm ", "\ud83d", "\ude00"])
    reply = ask(answer, wire=wire, on_text=Hearing(pieces.append))
    assert [(piece, isinstance(piece, Thought)) for piece in pieces] == [
        ("hm ", True),
        ("😀", True),
        ("One ", False),
        ("two.", False),
    ]
    assert reply.reasoning == "hm 😀"


@EACH_FORMAT
def test_text_comes_before_the_answer_is_over(wire):
    """Else nobody could watch a model write."""
    with DemoProvider(Answer("first last", itl_s=0.4)) as provider:
        seen: list[int] = []
        ask_at(
            provider, wire=wire, on_text=lambda _: seen.append(sum(s.kind == "content" for s in provider.log[0].sent))
        )
    assert seen == [1, 2]


@EACH_FORMAT
def test_a_reply_that_is_not_streamed_hands_its_text_on_at_once(wire):
    """Whoever listens need not know."""
    pieces: list[str] = []
    ask(Answer("One two."), wire=wire, stream=False, on_text=pieces.append)
    assert pieces == ["One two."]


def test_several_tokens_in_one_packet_are_handed_on_each():
    """And halves of a character wait for each other."""
    events = [Event({"choices": [{"index": 0, "delta": {"content": c}}]}, "content") for c in ("a", "\ud83d", "\ude00")]
    pieces: list[str] = []
    packet = b"".join(each.data for each in events)
    reply = ask(Page([Raw(packet), Wait(0.05), Raw(packet), Event("[DONE]", "done")]), on_text=pieces.append)
    assert pieces == ["a", "😀", "a", "😀"]
    assert reply.text == "".join(pieces)


def test_half_a_character_that_stays_alone_becomes_a_replacement_sign():
    """Once it is known that its other half does not come."""
    pieces: list[str] = []
    tell = whole_characters(pieces.append)
    for piece in ("\ud83d", "x", "\ude00"):
        tell(piece)
    assert pieces == ["\ufffdx", "\ufffd"]


@EACH_FORMAT
@pytest.mark.parametrize("reaction", [Answer("hi"), Failure(429, headers={"Retry-After": "3"})], ids=["reply", "429"])
def test_headers_are_told_once_whatever_they_say(wire, reaction):
    """Who adapts to limits wants them from replies and refusals alike."""
    told: list[tuple[int, str | None]] = []

    def note(status: int, headers) -> None:
        told.append((status, headers.get("retry-after")))

    if isinstance(reaction, Failure):
        with pytest.raises(WireError):
            ask(reaction, wire=wire, on_headers=note)
        assert told == [(429, "3")]
    else:
        ask(reaction, wire=wire, on_headers=note)
        assert told == [(200, None)]


@EACH_FORMAT
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_questions_of_one_pool_share_a_connection(wire, stream):
    """Without a pool each has its own, as measuring wants it; connecting then has a time."""
    request = ChatRequest("m", ({"role": "user", "content": "hi"},), stream=stream)
    with DemoProvider(Answer("hi")) as provider:

        async def two(pool: http.Pool | None) -> list[float | None]:
            asking = partial(FORMATS[wire], endpoint_of(provider, wire), request, PATIENT, pool=pool)
            return [(await asking()).timing.connect_s for _ in range(2)]

        kept, alone = http.run(two(http.Pool())), http.run(two(None))
        numbers = [call.connection for call in provider.log]
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3
    assert kept[1] is None
    assert None not in alone


WHOLE = {
    "openai": {
        "model": "m-2",
        "choices": [{"index": 0, "message": {"content": "Yes."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    },
    "anthropic": {
        "type": "message",
        "model": "m-2",
        "content": [{"type": "text", "text": "Yes."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    },
}


@EACH_FORMAT
def test_a_body_that_came_another_way_is_the_same_reply(wire):
    """From a batch API: it is complete, and it has no times."""
    endpoint = Endpoint(base_url="http://host", model_id="m", name="p/m", format=wire)
    request = ChatRequest("p/m", ({"role": "user", "content": "hi"},), stream=False)
    reply = read_whole(WIRES[wire], endpoint, request, json.dumps(WHOLE[wire]).encode())
    assert (reply.text, reply.model, reply.served_model, reply.finish_reason) == ("Yes.", "p/m", "m-2", "stop")
    assert (reply.usage, reply.timing, reply.request_hash) == (Usage(3, 2), Timing(), request.hash())
    assert not reply.streamed


@EACH_FORMAT
@pytest.mark.parametrize(
    ("body", "category"),
    [
        (b'{"error": {"type": "rate_limit_error", "message": "slow down"}}', Category.RATE_LIMITED),
        (b'{"half": ', Category.STREAM_MALFORMED),
        (b"{}", Category.STREAM_MALFORMED),
    ],
)
def test_a_body_that_is_no_reply_is_an_error_with_its_category(wire, body, category):
    """As if it had been asked for."""
    endpoint = Endpoint(base_url="http://host", model_id="m", name="p/m", format=wire)
    with pytest.raises(WireError) as caught:
        read_whole(WIRES[wire], endpoint, ChatRequest("p/m", ()), body)
    assert caught.value.category is category
