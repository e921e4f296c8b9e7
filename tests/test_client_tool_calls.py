"""Tool calls read out of replies: in pieces, several, cut anywhere, and as no API would send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asking import PATIENT, ask
from raw_servers import raw_server, read_request

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.formats import FORMATS, WIRES
from pytest_llmbench.demo import Answer
from pytest_llmbench.errors import Category, ReplyFormatError, WireError
from pytest_llmbench.records import Reply, ToolCall
from pytest_llmbench.sse import Event

EACH_FORMAT = pytest.mark.parametrize("wire", ["openai", "anthropic"])
ULM = ToolCall("c1", "weather", '{"city": "Ulm 🌦"}')
BONN = ToolCall("c2", "weather", '{"city": "Bonn"}')
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def piece(index: int | None = None, id_: str | None = None, name: str | None = None, arguments: str = "") -> Any:
    """One delta of OpenAI's with a piece of one call."""
    numbered = {} if index is None else {"index": index}
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return said({"tool_calls": [{**numbered, **({} if id_ is None else {"id": id_}), "function": function}]})


def said(delta: Any, reason: str | None = None) -> Any:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def begun(index: int | None, kind: str = "tool_use", **fields: Any) -> Any:
    """The beginning of one of Anthropic's blocks."""
    numbered = {} if index is None else {"index": index}
    return {"type": "content_block_start", **numbered, "content_block": {"type": kind, **fields}}


def more(index: int | None, arguments: str) -> Any:
    numbered = {} if index is None else {"index": index}
    return {"type": "content_block_delta", **numbered, "delta": {"type": "input_json_delta", "partial_json": arguments}}


ENDS = {
    "openai": said({}, "tool_calls"),
    "anthropic": {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
}
START = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 4}}}
TWO_CALLS = {
    "openai": [
        said({"role": "assistant", "content": "Let me look."}),
        piece(0, "c1", "weather"),
        piece(0, arguments='{"city": '),
        piece(1, "c2", "weather", '{"city"'),
        piece(0, arguments='"Ulm 🌦"}'),
        piece(1, arguments=': "Bonn"}'),
    ],
    "anthropic": [
        START,
        begun(0, "text", text="Let me look."),
        begun(1, id="c1", name="weather", input={}),
        more(1, ""),
        more(1, '{"city": '),
        more(1, '"Ulm 🌦"}'),
        {"type": "content_block_stop", "index": 1},
        begun(2, id="c2", name="weather", input={}),
        more(2, '{"city": "Bonn"}'),
    ],
}


def decoded(wire: str, *payloads: Any) -> Any:
    """What a stream of these events says."""
    made = WIRES[wire].decoder()
    for number, payload in enumerate([*payloads, ENDS[wire]]):
        if made.take(Event(float(number), json.dumps(payload).encode())):
            break
    return made.closed()


def calls(wire: str, *payloads: Any) -> list[ToolCall]:
    made = decoded(wire, *payloads)
    assert not made.malformed
    return list(made.tool_calls)


def stream_of(wire: str, payloads: list[Any]) -> bytes:
    named = (f"event: {each['type']}\n" if "type" in each else "" for each in payloads)
    bodies = (f"data: {json.dumps(each, ensure_ascii=False)}\n\n" for each in payloads)
    return "".join(name + body for name, body in zip(named, bodies, strict=True)).encode()


def asked_for_each(wire: str, streams: list[list[bytes]]) -> list[Any]:
    """The tool calls of the reply to each of these streams, sent in these chunks; the category of what is no reply."""
    left = iter(streams)

    def play(connection: Any) -> None:
        read_request(connection)
        for chunk in [HEAD, *next(left)]:
            connection.sendall(chunk)

    with raw_server(play) as address:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m", format=wire)
        return [_calls_or_category(endpoint) for _ in streams]


def _calls_or_category(endpoint: Endpoint) -> Any:
    request = ChatRequest("m", ({"role": "user", "content": "hi"},))
    try:
        return http.run(FORMATS[endpoint.format](endpoint, request, PATIENT)).tool_calls
    except WireError as error:
        return error.category


@EACH_FORMAT
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_test_reads_which_tool_was_called_with_what(wire: str, stream: bool) -> None:
    """Streamed in pieces or in one body."""
    answer = Answer("", tool_name="weather", tool_arguments=['{"city": ', '"Ulm"}'], finish_reason="tool_calls")
    reply = ask(answer, wire=wire, stream=stream)
    (call,) = reply.tool_calls
    assert (call.name, call.json["city"], reply.finish_reason) == ("weather", "Ulm", "tool_calls")
    assert call.id == {"openai": "call_demo", "anthropic": "toolu_demo"}[wire]
    assert isinstance(reply.tool_calls, tuple)


@EACH_FORMAT
def test_a_reply_without_calls_has_none(wire: str) -> None:
    """An empty tuple, nothing to check for None."""
    assert ask(Answer("hi"), wire=wire).tool_calls == ()


@EACH_FORMAT
def test_a_stream_of_tool_calls_cut_at_every_byte_is_never_complete(wire: str) -> None:
    """Only with the last byte of the reason are the calls whole, and then they are exactly those that were made."""
    body = stream_of(wire, [*TWO_CALLS[wire], ENDS[wire]])
    told = asked_for_each(wire, [[body[:cut]] for cut in range(len(body) + 1)])
    complete_at = len(body.rstrip())  # the end of the stream ends its last event, too
    assert set(told[:complete_at]) == {Category.STREAM_TRUNCATED}
    assert set(told[complete_at:]) <= {Category.STREAM_TRUNCATED, (ULM, BONN)}
    assert told[-1] == (ULM, BONN)


@EACH_FORMAT
def test_tool_calls_are_the_same_however_the_stream_is_cut(wire: str) -> None:
    """Chunks that end within an event, within a character, or hold several events."""
    body = stream_of(wire, [*TWO_CALLS[wire], ENDS[wire]])
    told = asked_for_each(wire, [[body[:cut], body[cut:]] for cut in range(1, len(body), 5)])
    assert set(told) == {(ULM, BONN)}


@pytest.mark.parametrize(
    "numbers", [(0, 1), (7, 3), (-1, 10**30), (None, None), (0, 0)], ids=["0 1", "7 3", "huge", "none", "all 0"]
)
def test_an_index_is_but_a_name(numbers: tuple[int | None, int | None]) -> None:
    """It may jump, be negative, be missing, or be 0 for all calls, as Gemini's is."""
    first, second = numbers
    told = [piece(first, "c1", "a", "1"), piece(first, None, None, "2"), piece(second, "c2", "b", "3")]
    assert calls("openai", *told) == [ToolCall("c1", "a", "12"), ToolCall("c2", "b", "3")]


def test_a_new_id_alone_begins_no_call() -> None:
    """Old servers make one up for every piece; the first one is the call's."""
    told = [piece(0, "c1", "a", "1"), piece(0, "c9", None, "2"), piece(0, "c1", "a", "3"), piece(0, "", "", "4")]
    assert calls("openai", *told) == [ToolCall("c1", "a", "1234")]


def test_calls_with_neither_id_nor_index_begin_with_their_names() -> None:
    """So does the one call of the API before there were several."""
    told = [piece(None, None, "a", "1"), piece(None, None, None, "2"), piece(None, None, "b", "3")]
    assert calls("openai", *told) == [ToolCall("", "a", "12"), ToolCall("", "b", "3")]
    old = [said({"function_call": {"name": "f", "arguments": ""}}), said({"function_call": {"arguments": "{}"}})]
    assert calls("openai", *old) == [ToolCall("", "f", "{}")]


def test_a_custom_tool_is_called_with_plain_text() -> None:
    """OpenAI's `custom` tools take `input`, which need not be JSON."""
    told = said({"tool_calls": [{"index": 0, "id": "c", "custom": {"name": "sh", "input": "ls -l"}}]})
    assert calls("openai", told) == [ToolCall("c", "sh", "ls -l")]


def test_a_call_without_a_name_is_kept_and_one_without_anything_is_none() -> None:
    """What the model asked for is not ours to drop."""
    assert calls("openai", piece(0, "c1", None, "{}"), piece(1)) == [ToolCall("c1", "", "{}")]
    assert calls("anthropic", START, begun(0, input={"a": 1})) == [ToolCall("", "", '{"a": 1}')]


def test_arguments_that_come_as_an_object_are_told_as_json() -> None:
    """Anthropic's whole messages, and its calls without parameters, of which no piece ever comes."""
    block = {"type": "tool_use", "id": "c", "name": "f", "input": {"city": "Köln"}}
    message = {"type": "message", "model": "m", "content": [block, {**block, "input": {}}], "stop_reason": "tool_use"}
    whole = WIRES["anthropic"].decoder().take_whole(json.dumps(message).encode())
    assert list(whole.tool_calls) == [ToolCall("c", "f", '{"city": "Köln"}'), ToolCall("c", "f", "{}")]
    assert calls("anthropic", START, begun(0, id="c", name="f", input={}), more(0, "")) == [ToolCall("c", "f", "{}")]


def test_tools_that_the_provider_runs_itself_are_no_calls() -> None:
    """Their arguments are streamed like those of others, also at the index of a call before."""
    search = [begun(1, "server_tool_use", id="s", name="web_search", input={}), more(1, '{"query": "x"}')]
    assert calls("anthropic", START, *search) == []
    assert calls("anthropic", START, begun(1, id="c", name="f"), more(1, "{}"), *search) == [ToolCall("c", "f", "{}")]
    assert calls("anthropic", START, more(5, "{}")) == []


def test_pieces_without_an_index_are_those_of_the_last_call() -> None:
    """As gateways send them that speak the format by half."""
    told = [begun(None, id="c", name="f"), more(None, "{"), more(None, "}")]
    assert calls("anthropic", START, *told) == [ToolCall("c", "f", "{}")]


@pytest.mark.parametrize(
    "bad",
    [
        {"tool_calls": 7},
        {"tool_calls": [None]},
        {"tool_calls": [{"index": "0"}]},
        {"tool_calls": [{"index": 0.5}]},
        {"tool_calls": [{"id": 3}]},
        {"tool_calls": [{"function": "f"}]},
        {"tool_calls": [{"function": {"name": ["f"]}}]},
        {"tool_calls": [{"function": {"arguments": {"a": 1}}}]},
        {"function_call": []},
    ],
    ids=str,
)
def test_calls_of_wrong_types_are_malformed_at_openai(bad: Any) -> None:
    """As anything else that the format does not allow."""
    assert decoded("openai", said(bad)).malformed


@pytest.mark.parametrize(
    "bad",
    [begun(0, input=[]), begun(0, id=1), begun(0, name={}), {**begun(0), "index": "0"}, more("0", "{}")],  # type: ignore[arg-type]
    ids=str,
)
def test_calls_of_wrong_types_are_malformed_at_anthropic(bad: Any) -> None:
    """As anything else that the format does not allow."""
    assert decoded("anthropic", START, bad).malformed


@EACH_FORMAT
def test_a_malformed_call_is_told_with_its_category(wire: str) -> None:
    """Never an error of ours."""
    bad = {"openai": said({"tool_calls": [7]}), "anthropic": begun(0, input="x")}
    body = stream_of(wire, [*TWO_CALLS[wire], bad[wire], ENDS[wire]])
    assert asked_for_each(wire, [[body]]) == [Category.STREAM_MALFORMED]


def test_huge_arguments_come_whole() -> None:
    """In many pieces; they are put together once, at the end."""
    pieces = ["[", *('"x",' * 1000 for _ in range(200)), "0]"]
    told = [piece(0, "c", "f", pieces[0]), *(piece(0, arguments=each) for each in pieces[1:])]
    (call,) = calls("openai", *told)
    assert len(call.arguments) == 800_003
    assert len(call.json) == 200_001


def test_input_nested_as_deeply_as_can_be_is_malformed_or_read() -> None:
    """Never a stack that overflows: what could just be parsed may be too deep to be written again."""
    for depth in range(850, 1000):
        nested = '{"a":' * depth + "1" + "}" * depth
        body = '{"type":"message","content":[{"type":"tool_use","name":"f","input":' + nested + '}],"stop_reason":"x"}'
        made = WIRES["anthropic"].decoder().take_whole(body.encode())
        assert bool(made.malformed) != bool(list(made.tool_calls))


def test_lone_halves_of_characters_do_not_leave_the_client() -> None:
    """No file and no database takes them; halves in two pieces are one character."""
    (call,) = calls("openai", piece(0, "\ud83d", "f\ude00", '"\ud83d'), piece(0, arguments='\ude00"'))
    assert call == ToolCall("�", "f�", '"😀"')


@pytest.mark.parametrize("arguments", ["", '{"city": "U', "{'city': 'Ulm'}", '```json\n{"a": 1}\n```', "[" * 100_000])
def test_arguments_that_are_no_json_are_the_models_fault(arguments: str) -> None:
    """Told as a reply of a wrong form, with the name of the tool; nobody takes a fence off arguments."""
    with pytest.raises(ReplyFormatError, match="the arguments of the call of 'weather' are not JSON"):
        _ = ToolCall("c", "weather", arguments).json


def test_an_argument_that_is_missing_is_the_models_fault() -> None:
    """Not a KeyError of the test."""
    with pytest.raises(ReplyFormatError, match="arguments has no key 'town'; it has 'city'"):
        _ = ULM.json["town"]


def test_a_reply_with_tool_calls_survives_as_builtin_types() -> None:
    """As it crosses from process to process."""
    reply = Reply("", "m", tool_calls=(ULM, BONN))
    assert Reply.from_dict(json.loads(json.dumps(reply.as_dict()))) == reply
