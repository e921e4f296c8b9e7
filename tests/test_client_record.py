"""The stream while it runs: what is kept, what is looked at, when it is over, and how much it may hold."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import subprocess
import sys
from itertools import pairwise

import pytest
from asking import PATIENT, ask
from hypothesis import given
from hypothesis import strategies as st
from raw_servers import raw_server, read_request

from pytest_llmbench import http, sse
from pytest_llmbench.clients import ChatRequest, Endpoint, chat, openai
from pytest_llmbench.clients.stream import StreamRecord
from pytest_llmbench.demo import Answer, Close, DemoProvider, Event, Page, Raw, Wait
from pytest_llmbench.errors import Category, WireError

TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = (
    b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n'
    + TOKEN
    + b": ping\n\n"
    + TOKEN.replace(b"word", b'about [DONE] and \\"error\\"')
    + TOKEN.replace(b"\n", b"\r\n")
    + b'event: message\ndata: {"choices": [],\ndata: "usage": null}\n\n'
    + TOKEN * 2
    + FINISH
)
FOREVER = Wait(float("inf"))


class Listener:
    """An exchange as far as a record needs one; it notes when it was told that the answer moved."""

    shown = "POST http://host/"

    def __init__(self) -> None:
        self.moved: list[float] = []
        self.answer_moved = self.moved.append

    def too_large(self, limit: str) -> WireError:
        return WireError(limit, category=Category.STREAM_TOO_LARGE)


def recorded(chunks: list[bytes]) -> tuple[list[tuple[float, bytes]], list[float], int | None]:
    """Events with their stamps, moves, and at which chunk it was over; each chunk's stamp is its number."""
    listener = Listener()
    record = StreamRecord(listener, openai.WIRE)
    over = next((number for number, chunk in enumerate(chunks) if record(float(number), chunk)), None)
    return [(event.arrived_at, event.data) for event in record.events()], listener.moved, over


def stamped(chunks: list[bytes]) -> list[tuple[float, bytes]]:
    """The same events, with every chunk parsed when it comes."""
    parser = sse.Parser()
    return [(e.arrived_at, e.data) for number, chunk in enumerate(chunks) for e in parser.feed(float(number), chunk)]


@given(st.data())
def test_events_and_stamps_are_those_of_parsing_at_once_however_the_stream_is_cut(data):
    """Parsing late changes nothing but the moment of the work."""
    whole = STREAM + DONE
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    chunks = [whole[a:b] for a, b in pairwise([0, *cuts, len(whole)])]
    events, _, over = recorded(chunks)
    assert events == stamped(chunks)
    assert over == next(number for number, _ in enumerate(chunks) if sum(map(len, chunks[: number + 1])) >= len(whole))


def test_a_stream_cut_at_every_byte_ends_with_its_last_one():
    """`[DONE]` in two chunks is seen as well as in one."""
    whole = STREAM + DONE
    for cut in range(1, len(whole)):
        events, _, over = recorded([whole[:cut], whole[cut:]])
        assert over == 1
        assert [data for _, data in events] == [data for _, data in stamped([whole])]


def test_only_data_moves_the_answer():
    """Not comments, not half events, not what comes before the first generated text."""
    role = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n'
    chunks = [role, TOKEN, b": ping\n\n", TOKEN, TOKEN[:20], TOKEN[20:], b"event: ping\n\n", b"\n\n", TOKEN]
    assert recorded(chunks)[1] == [1.0, 3.0, 5.0, 8.0]


def test_plain_tokens_are_kept_as_they_came():
    """Nothing is parsed between two of them."""
    record = StreamRecord(Listener(), openai.WIRE)
    for number in range(5):
        assert not record(float(number), TOKEN)
    assert record._record[1:] == [(float(number), TOKEN) for number in range(1, 5)]


@pytest.mark.parametrize(
    "token", [TOKEN, TOKEN.replace(b"\n", b"\r\n"), b"x: y\n" + TOKEN], ids=["lf", "crlf", "field"]
)
def test_the_number_of_events_is_bounded(token, monkeypatch):
    """Many tiny events cost more memory than their bytes."""
    monkeypatch.setattr(sse, "MAX_EVENTS", 1000)
    record = StreamRecord(Listener(), openai.WIRE)

    def feed_for_ever() -> None:
        while True:
            assert not record(0.0, token * 3)

    with pytest.raises(WireError, match="1000 events") as caught:
        feed_for_ever()
    assert caught.value.category is Category.STREAM_TOO_LARGE
    assert len(record._record) <= 2001


def test_an_endless_stream_of_tokens_is_cut_off(monkeypatch):
    """Over a real socket."""
    monkeypatch.setattr(sse, "MAX_EVENTS", 10_000)

    def play(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            connection.sendall(TOKEN * 1000)

    with raw_server(play) as address:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m")
        with pytest.raises(WireError) as caught:
            http.run(chat(endpoint, ChatRequest("m", ({"role": "user", "content": "hi"},)), PATIENT))
    assert caught.value.category is Category.STREAM_TOO_LARGE


@pytest.mark.parametrize("cut", [10, len(DONE) - 1])
def test_done_in_two_packets_ends_the_stream(cut):
    """Though the server keeps the connection."""
    steps = [Raw(TOKEN), Wait(0.05), Raw(TOKEN), Wait(0.05), Raw(DONE[:cut]), Wait(0.05), Raw(DONE[cut:]), FOREVER]
    assert ask(Page(steps)).text == "wordword"


@pytest.mark.parametrize("cut", [2, 12, 40])
def test_an_error_in_two_packets_ends_the_stream(cut):
    """After tokens that were only kept."""
    error = b'data: {"error": {"message": "the GPU fell off", "code": 500}}\n\n'
    steps = [*[Raw(TOKEN), Wait(0.05)] * 3, Raw(error[:cut]), Wait(0.05), Raw(error[cut:]), FOREVER]
    with pytest.raises(WireError, match="the GPU fell off") as caught:
        ask(Page(steps))
    assert caught.value.category is Category.STREAM_ERROR_EVENT
    assert caught.value.partial_text == "word" * 3


def test_a_text_that_says_done_does_not_end_the_stream():
    """Only an event of its own does."""
    pieces = ["the frame [DONE] ", "is the last ", "[DONE]"]
    assert ask(Answer(pieces=pieces)).text == "".join(pieces)


@pytest.mark.parametrize(
    "media_type", ["Text/Event-Stream", "text/event-stream;charset=utf-8", "TEXT/EVENT-STREAM ; x=y"]
)
def test_the_media_type_is_read_whatever_its_case(media_type):
    """With or without parameters."""
    reply = ask(Page([Raw(TOKEN + FINISH + DONE)], content_type=media_type))
    assert (reply.text, reply.streamed) == ("word", True)


@pytest.mark.parametrize(
    "page",
    [
        Page([Raw(b"\x1f\x8b\x08 packed")], 429, "application/json", {"Content-Encoding": "gzip"}),
        Page([Raw(b'{"error": {"mess'), Close()], 429, "application/json"),
        Page([Raw(b"x" * 1024 * 1024)] * 3, 429, "text/html"),
    ],
    ids=["compressed", "broken off", "too large"],
)
def test_an_error_status_is_told_whatever_its_body(page):
    """A retry has to know that it was a rate limit."""
    with pytest.raises(WireError, match="HTTP 429") as caught:
        ask(page)
    assert caught.value.category is Category.RATE_LIMITED


def test_streams_are_decoded_on_whatever_loop_they_run():
    """After `close` the next request has a new one."""
    with DemoProvider(Answer("hi " * 100)) as provider:
        for _ in range(2):
            endpoint = Endpoint(base_url=provider.url, model_id="m", name="m")
            request = ChatRequest("m", ({"role": "user", "content": "hi"},))

            async def several(endpoint=endpoint, request=request):
                return await asyncio.gather(*(chat(endpoint, request, PATIENT) for _ in range(5)))

            assert {reply.text for reply in http.run(several())} == {"hi " * 100}
            http.close()


def test_an_exchange_leaves_nothing_to_the_garbage_collector():
    """It is off while we measure: cycles would fill the memory."""
    command = [sys.executable, "-m", "pytest_llmbench.demo", "--tokens", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:
        endpoint = Endpoint(base_url=provider.stdout.readline().strip(), model_id="m", name="m")
        requests = [ChatRequest("m", ({"role": "user", "content": "hi"},), stream=stream) for stream in (True, False)]

        def ask_each() -> None:
            for request in requests:
                http.run(chat(endpoint, request, PATIENT))

        ask_each()
        gc.collect()
        gc.disable()
        try:
            ask_each()
            garbage = gc.collect()
        finally:
            gc.enable()
            provider.kill()
    assert garbage == 0


def test_a_stall_after_kept_tokens_meets_the_idle_deadline():
    """And what was kept is in the error."""
    steps = [Raw(TOKEN), Wait(0.1), Raw(TOKEN), Wait(0.1), Raw(TOKEN), FOREVER]
    with pytest.raises(WireError) as caught:
        ask(Page(steps), deadlines=dataclasses.replace(PATIENT, idle_s=0.5))
    assert caught.value.category is Category.TIMEOUT_IDLE
    assert caught.value.partial_text == "word" * 3


def test_events_that_are_kept_for_the_user_are_all_there():
    """Those parsed at once and those parsed at the end, in order."""
    steps = [Event({"choices": [{"index": 0, "delta": {"content": str(n)}}]}, "content") for n in range(10)]
    reply = ask(Page([*steps, Raw(DONE)]), keep_events=True)
    assert [event for event in reply.events if "content" in event] == [step.data.decode()[6:-2] for step in steps]
