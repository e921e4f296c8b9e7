"""What is sent where: addresses, headers and bodies of each wire format."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from asking import KEY, PATIENT, ask_at
from raw_servers import raw_server, read_request

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.formats import FORMATS, WIRES
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Target
from pytest_llmbench.secret import Secret

USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
FUNCTION = {"name": "weather", "description": "of a city", "parameters": SCHEMA, "strict": True}


def endpoint(base_url: str = "http://host", wire: str = "openai", **fields: Any) -> Endpoint:
    return Endpoint(base_url=base_url, api_key=Secret(KEY), model_id="m-1", name="p/m-1", format=wire, **fields)


def body(where: Endpoint, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return WIRES[where.format].body(where, ChatRequest("p/m-1", messages or (USER,), **fields))


def said_to_claude(*messages: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return body(endpoint(wire="anthropic"), *messages, extra=extra)


def test_every_format_has_a_wire():
    """Whoever reads bodies of batches knows as many formats as whoever asks."""
    assert FORMATS.keys() == WIRES.keys() == {"openai", "anthropic", "azure"}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://host", "http://host/v1/chat/completions"),
        ("http://host/", "http://host/v1/chat/completions"),
        ("http://host/v1", "http://host/v1/chat/completions"),
        ("http://host/v1/", "http://host/v1/chat/completions"),
        ("http://host/prefix", "http://host/prefix/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai/chat/completions"),
        ("https://host/api/paas/v4", "https://host/api/paas/v4/chat/completions"),
        ("https://host/v1?route=eu", "https://host/v1/chat/completions?route=eu"),
    ],
)
def test_a_base_url_may_name_its_version_or_not(base_url, url):
    """As providers print it in their manuals."""
    assert WIRES["openai"].url(endpoint(base_url)) == url


def test_paths_outside_the_api_stand_beside_its_version():
    """llama-server's own endpoints, where its address was given with /v1."""
    assert endpoint("http://host/v1").url("/tokenize") == "http://host/tokenize"


def test_an_endpoint_is_made_of_a_target():
    """All that a remote model is, and its key."""
    target = Target("p/m", "p", "m", "anthropic", "http://host", headers={"x-a": "b"}, max_output_tokens=9)
    made = Endpoint.of(target, Secret(KEY))
    assert made == Endpoint(
        base_url="http://host",
        api_key=Secret(KEY),
        model_id="m",
        name="p/m",
        format="anthropic",
        headers={"x-a": "b"},
        max_output_tokens=9,
    )


def test_headers_of_the_provider_are_sent_with_every_request():
    """Beside ours, which they do not replace."""
    with DemoProvider() as provider:
        where = dataclasses.replace(endpoint(provider.url), headers={"X-Title": "evals", "content-type": "text/plain"})
        http.run(FORMATS["openai"](where, ChatRequest("m", (USER,)), PATIENT))
        headers = provider.log[0].headers
    assert (headers["x-title"], headers["content-type"]) == ("evals", "application/json")


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://api.openai.com.evil.example/v1", "max_tokens"),
        ("https://openrouter.ai/api/v1", "max_tokens"),
        ("http://127.0.0.1:8080", "max_tokens"),
    ],
)
def test_the_longest_answer_is_named_as_the_provider_knows_it(base_url, name):
    """OpenAI's reasoning models refuse `max_tokens`; most others know nothing else."""
    sent = body(endpoint(base_url), max_tokens=7)
    assert {key: value for key, value in sent.items() if key.startswith("max_")} == {name: 7}


def test_a_limit_among_the_extra_fields_is_the_only_one_sent():
    """Two of them are refused by servers that know both."""
    sent = body(endpoint(), max_tokens=7, extra={"max_completion_tokens": 9})
    assert {key: value for key, value in sent.items() if key.startswith("max_")} == {"max_completion_tokens": 9}


def test_a_temperature_of_none_is_not_sent():
    """For models that take none."""
    assert "temperature" not in body(endpoint(), temperature=None)
    assert "temperature" not in body(endpoint(wire="anthropic"), temperature=None)


def test_pictures_written_for_one_provider_are_sent_to_the_other():
    """The same test asks both."""
    ours = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    theirs = [ours[0], {"type": "image", "source": source}]
    for written in (ours, theirs):
        message = {"role": "user", "content": written}
        assert said_to_claude(message)["messages"] == [{"role": "user", "content": theirs}]
        assert body(endpoint(), message)["messages"] == [{"role": "user", "content": ours}]


def test_a_picture_at_an_address_stays_there():
    """Nobody but the provider fetches it."""
    ours = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://host/a.png"}}]}
    theirs = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://host/a.png"}}]}
    assert said_to_claude(ours)["messages"] == [theirs]
    assert body(endpoint(), theirs)["messages"] == [ours]


def test_claude_is_asked_in_its_own_words():
    """System prompt apart, a limit always, no seed, which the API does not know."""
    system = {"role": "system", "content": "Be brief."}
    developer = {"role": "developer", "content": "Be kind."}
    where = endpoint(wire="anthropic")
    assert body(where, system, developer, USER, seed=3, max_tokens=5) == {
        "model": "m-1",
        "system": "Be brief.\n\nBe kind.",
        "messages": [USER],
        "max_tokens": 5,
        "temperature": 0.0,
        "stream": True,
    }


def test_claude_is_always_told_a_longest_answer():
    """The request's, else the model's own, else a stated number."""
    where = endpoint(wire="anthropic")
    assert body(where)["max_tokens"] == 4096
    assert body(dataclasses.replace(where, max_output_tokens=8192))["max_tokens"] == 8192
    assert body(dataclasses.replace(where, max_output_tokens=8192), max_tokens=3)["max_tokens"] == 3
    assert body(where, max_tokens=3, extra={"max_completion_tokens": 2})["max_tokens"] == 2


def test_a_system_message_amid_a_conversation_keeps_its_place():
    """Moving it to the front would ask another question."""
    sent = said_to_claude(USER, {"role": "developer", "content": "Now in French."}, USER)
    assert "system" not in sent
    assert [message["role"] for message in sent["messages"]] == ["user", "system", "user"]


def test_marks_on_a_system_prompt_are_kept():
    """A breakpoint of the prompt cache, for instance."""
    block = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    assert said_to_claude({"role": "system", "content": [block]}, USER)["system"] == [block]


def test_a_conversation_with_tools_is_said_in_claudes_words():
    """Tools, calls and results; results that follow each other are one message."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
    bare = {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}}
    sent = said_to_claude(
        USER,
        {"role": "assistant", "content": "Let me look.", "tool_calls": [call, bare]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "sun"}]},
        tools=[{"type": "function", "function": FUNCTION}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )
    assert sent["tools"] == [
        {"name": "weather", "description": "of a city", "input_schema": SCHEMA, "strict": True},
    ]
    assert sent["tool_choice"] == {"type": "tool", "name": "weather"}
    assert sent["messages"][1]["content"] == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
    ]
    assert sent["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
            {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "sun"}]},
        ],
    }


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        ),
        (
            {"parallel_tool_calls": False, "tool_choice": "none"},
            {"tool_choice": {"type": "none"}},
        ),
        ({"parallel_tool_calls": True}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"top_k": 5, "service_tier": "auto"}, {"top_k": 5, "service_tier": "auto"}),
    ],
    ids=str,
)
def test_fields_of_openai_are_said_in_claudes_words(extra, said):
    """And its own are sent as they are."""
    plain = said_to_claude(USER)
    assert said_to_claude(USER, **extra) == {**plain, **said}


def test_effort_and_schema_share_one_object():
    """Neither drives out the other."""
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    sent = said_to_claude(USER, response_format=wanted, reasoning_effort="low")
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}


@pytest.mark.parametrize("thinking", [{"type": "enabled", "budget_tokens": 2048}, {"type": "adaptive"}])
def test_a_thinking_claude_is_told_no_temperature(thinking):
    """The API takes only its own then."""
    assert "temperature" not in said_to_claude(USER, thinking=thinking)
    assert "temperature" in said_to_claude(USER, thinking={"type": "disabled"})


@pytest.mark.parametrize(
    "extra",
    [{"n": 2}, {"logprobs": True}, {"logit_bias": {"5": 1}}, {"response_format": {"type": "json_object"}}],
    ids=str,
)
def test_what_claude_cannot_be_asked_is_refused_before_it_is_sent(extra):
    """Left out it would be another question; the provider hears nothing."""
    with DemoProvider() as provider:
        with pytest.raises(UsageError, match="cannot be asked of Anthropic's Messages API"):
            ask_at(provider, wire="anthropic", extra=extra)
        assert provider.log == []


def test_a_temperature_beyond_claudes_range_is_refused():
    """Not bent to what fits."""
    with pytest.raises(UsageError, match=r"a temperature of 1\.5"):
        body(endpoint(wire="anthropic"), temperature=1.5)


def test_sound_is_refused_before_it_is_sent():
    """Claude takes texts, pictures and documents."""
    with pytest.raises(UsageError, match="input_audio"):
        said_to_claude({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]})


def test_documents_are_said_in_claudes_words():
    """A PDF in the message."""
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    sent = said_to_claude({"role": "user", "content": [part]})["messages"][0]["content"]
    assert sent == [{"type": "document", "source": source}]


def test_arguments_of_a_call_that_are_no_json_are_refused():
    """With the name of the function."""
    call = {"id": "c1", "function": {"name": "weather", "arguments": "{city"}}
    with pytest.raises(UsageError, match="'weather' are no JSON"):
        said_to_claude({"role": "assistant", "content": None, "tool_calls": [call]})


@pytest.mark.parametrize(
    ("base_url", "url", "limit"),
    [
        (
            "https://x.openai.azure.com?api-version=2024-10-21",
            "https://x.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2024-10-21",
            "max_completion_tokens",
        ),
        (
            "https://x.openai.azure.com/openai/?api-version=2024-06-01",
            "https://x.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2024-06-01",
            "max_tokens",
        ),
        (
            "https://x.openai.azure.com",
            "https://x.openai.azure.com/openai/v1/chat/completions",
            "max_completion_tokens",
        ),
        (
            "https://x.openai.azure.com/openai/v1/?api-version=preview",
            "https://x.openai.azure.com/openai/v1/chat/completions?api-version=preview",
            "max_completion_tokens",
        ),
    ],
    ids=["deployments", "deployments, old", "v1", "v1 with a version"],
)
def test_azure_is_asked_at_either_of_its_addresses(base_url, url, limit):
    """The deployments API where a version is told, else the v1 API."""
    where = endpoint(base_url, "azure")
    assert WIRES["azure"].url(where) == url
    sent = body(where, max_tokens=4)
    assert (sent["model"], sent[limit]) == ("m-1", 4)


def test_a_deployments_name_cannot_leave_its_place_in_the_path():
    """It is data, whatever is in it."""
    where = dataclasses.replace(endpoint("https://x?api-version=2024-10-21", "azure"), model_id="../../m?x=1")
    assert "/deployments/..%2F..%2Fm%3Fx%3D1/chat" in WIRES["azure"].url(where)


def test_azure_has_a_header_of_its_own_for_the_key_but_not_for_tokens():
    """Entra ID gives JSON Web Tokens."""
    where = endpoint("https://x", "azure")
    assert WIRES["azure"].headers(where) == {"api-key": KEY}
    token = dataclasses.replace(where, api_key=Secret("eyJh.eyJi.c2ln"))
    assert WIRES["azure"].headers(token) == {"authorization": "Bearer eyJh.eyJi.c2ln"}


@pytest.mark.parametrize("wire", ["openai", "anthropic", "azure"])
def test_without_a_key_no_header_for_one_is_sent(wire):
    """A server of one's own may want none."""
    headers = WIRES[wire].headers(Endpoint(base_url="http://host", model_id="m", name="m"))
    assert not {"authorization", "x-api-key", "api-key"} & headers.keys()


def test_azure_answers_as_openai_does():
    """Over a socket: address, header and an answer that begins with what its filter says of the prompt."""
    heard: list[bytes] = []
    filtered = b'data: {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}\n\n'
    token = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n'

    def play(connection):
        heard.append(read_request(connection)[0])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        connection.sendall(head + filtered + token + b"data: [DONE]\n\n")

    with raw_server(play) as address:
        where = endpoint(f"http://{address}?api-version=2024-10-21", "azure")
        assert http.run(FORMATS["azure"](where, ChatRequest("m", (USER,)), PATIENT)).text == "hi"
    line, *headers = heard[0].decode().split("\r\n")
    assert line == "POST /openai/deployments/m-1/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert f"api-key: {KEY}" in headers
