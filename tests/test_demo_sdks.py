"""The demo provider is what it says: the official SDKs talk to it, and hear what our client hears."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from asking import PATIENT

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction
from pytest_llmbench.errors import WireError
from pytest_llmbench.secret import Secret

ASKED = [{"role": "user", "content": "one two three"}]
TOOL_CALL = Answer("", tool_name="weather", tool_arguments=['{"city": ', '"Ulm"}'], finish_reason="tool_calls")


@dataclass(frozen=True)
class Heard:
    """What a client made of a response, in the same words for all; or the status that it took for an error."""

    text: str = ""
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    error: int | None = None


def ours(form: str) -> Callable[[str, bool], Heard]:
    """Our client in a wire format."""

    def ask(url: str, stream: bool) -> Heard:
        endpoint = Endpoint(base_url=url, api_key=Secret("sk-demo-key"), model_id="m", name="demo/m", format=form)
        request = ChatRequest("demo/m", tuple(ASKED), max_tokens=100, stream=stream)
        try:
            reply = http.run(FORMATS[form](endpoint, request, PATIENT))
        except WireError as error:
            return Heard(error=error.status)
        usage = reply.usage
        tokens = usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
        return Heard(reply.text, reply.finish_reason, *tokens)

    return ask


@functools.cache
def _openai_client() -> openai.OpenAI:
    return openai.OpenAI(api_key="k", max_retries=0)


@functools.cache
def _anthropic_client() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", max_retries=0)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """One client of each kind for all scenarios: making one takes longer than asking."""
    yield
    _openai_client().close()
    _anthropic_client().close()


def openai_sdk(url: str, stream: bool) -> Heard:
    """OpenAI's own, whole or streamed."""
    asked: dict[str, Any] = {"model": "m", "messages": ASKED, "max_tokens": 100}
    client = _openai_client().with_options(base_url=f"{url}/v1")
    try:
        if not stream:
            whole = client.chat.completions.create(**asked)
            choice, usage = whole.choices[0], whole.usage
            return _openai_heard(choice.message.content or "", choice.finish_reason, usage)
        events = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    except openai.APIStatusError as error:
        return Heard(error=error.status_code)
    choices = [choice for event in events for choice in event.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    finish = next(choice.finish_reason for choice in choices if choice.finish_reason)
    return _openai_heard(text, finish, events[-1].usage)


def _openai_heard(text: str, finish: str, usage: Any) -> Heard:
    cached = usage.prompt_tokens_details.cached_tokens
    return Heard(text, finish, usage.prompt_tokens, usage.completion_tokens, cached)


def anthropic_sdk(url: str, stream: bool) -> Heard:
    """Anthropic's own, whole or streamed; its prompt tokens leave out what came from the cache."""
    asked: dict[str, Any] = {"model": "m", "messages": ASKED, "max_tokens": 100}
    client = _anthropic_client().with_options(base_url=url)
    try:
        if stream:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**asked)
    except anthropic.APIStatusError as error:
        return Heard(error=error.status_code)
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    text = "".join(block.text for block in message.content if block.type == "text")
    words = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    return Heard(text, words[str(message.stop_reason)], prompt, usage.output_tokens, cached)


CLIENTS = [
    pytest.param(ours("openai"), id="our-openai"),
    pytest.param(ours("anthropic"), id="our-anthropic"),
    pytest.param(openai_sdk, id="openai-sdk"),
    pytest.param(anthropic_sdk, id="anthropic-sdk"),
]
SCENARIOS = [
    pytest.param(Answer("One two."), Heard("One two.", "stop", 3, 2, 0), id="answer"),
    pytest.param(Answer("a b c", finish_reason="length"), Heard("a b c", "length", 3, 3, 0), id="too-long"),
    pytest.param(Answer("Ulm.", reasoning=["hm ", "hm "]), Heard("Ulm.", "stop", 3, 3, 0), id="reasoning"),
    pytest.param(Answer("hi", prompt_tokens=9, cached_tokens=5), Heard("hi", "stop", 9, 1, 5), id="cached"),
    pytest.param(
        Answer("hi", prompt_tokens=9, cached_tokens=5, cache_write_tokens=3), Heard("hi", "stop", 9, 1, 5), id="written"
    ),
    pytest.param(TOOL_CALL, Heard("", "tool_calls", 3, 2, 0), id="tool-call"),
    pytest.param(Answer("Grüße 😀"), Heard("Grüße 😀", "stop", 3, 2, 0), id="unicode"),
    pytest.param(Failure(400, "no"), Heard(error=400), id="bad-request"),
    pytest.param(Failure(401, "no"), Heard(error=401), id="wrong-key"),
    pytest.param(Failure(404, "no"), Heard(error=404), id="no-such-model"),
    pytest.param(Failure(429, "slow down"), Heard(error=429), id="rate-limit"),
    pytest.param(Failure(500, "oh"), Heard(error=500), id="server-error"),
    pytest.param(Failure(529, "busy"), Heard(error=529), id="overloaded"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("reaction", "heard"), SCENARIOS)
def test_all_clients_hear_the_same(
    client: Callable[[str, bool], Heard], reaction: Reaction, heard: Heard, stream: bool
) -> None:
    """One script, two forms, four clients: text, finish reason, tokens and errors agree."""
    with DemoProvider(reaction) as provider:
        assert client(provider.url, stream) == heard


def test_a_tool_call_arrives_whole_in_both_sdks() -> None:
    """Name and arguments, put together from the pieces."""
    with DemoProvider(TOOL_CALL) as provider:
        with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            call = client.chat.completions.create(model="m", messages=ASKED).choices[0].message.tool_calls[0]
        with anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
            block = client.messages.create(model="m", messages=ASKED, max_tokens=100).content[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Ulm"})
    assert (block.name, block.input) == ("weather", {"city": "Ulm"})


def test_the_sdks_do_what_retry_after_tells_them() -> None:
    """A fault on the first attempt only: they come again, and are answered."""
    traits = {"fault": "rate-limit", "times": 1, "retry_after_s": 0.05}
    with DemoProvider(traits=traits) as provider:
        with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            said = client.chat.completions.create(model="echo", messages=ASKED).choices[0].message.content
        statuses = [call.status for call in provider.chats()]
    assert (said, statuses) == ("You said: one two three", [429, 200])


def test_an_error_within_a_stream_is_an_error_for_both_sdks() -> None:
    """Whatever came before it."""
    with DemoProvider(traits={"fault": "error-event"}) as provider:
        openai_client = _openai_client().with_options(base_url=f"{provider.url}/v1")
        with pytest.raises(openai.APIError, match="amid its answer"):
            list(openai_client.chat.completions.create(model="echo", messages=ASKED, stream=True))
        anthropic_client = _anthropic_client().with_options(base_url=provider.url)
        with pytest.raises(anthropic.APIError, match="amid its answer"):
            list(anthropic_client.messages.create(model="echo", messages=ASKED, stream=True, max_tokens=9))


def test_a_truncated_stream_is_nothing_that_an_sdk_notices() -> None:
    """Why we have a client of our own: it alone refuses half an answer."""
    with DemoProvider(traits={"fault": "cut"}) as provider:
        with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            events = list(client.chat.completions.create(model="echo", messages=ASKED, stream=True))
        assert all(choice.finish_reason is None for event in events for choice in event.choices)
        endpoint = Endpoint(base_url=provider.url, model_id="echo", name="demo/echo")
        with pytest.raises(WireError, match="without a finish reason"):
            http.run(FORMATS["openai"](endpoint, ChatRequest("demo/echo", tuple(ASKED)), PATIENT))


def test_openais_sdk_runs_a_batch() -> None:
    """Upload, submit, look, fetch."""
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    row["body"] = {"model": "facts", "messages": [{"role": "user", "content": "What is 2 + 3?"}]}
    with DemoProvider() as provider, openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
        file = client.files.create(file=io.BytesIO(json.dumps(row).encode()), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"of": "me"}
        )
        batch = client.batches.retrieve(made.id)
        result = json.loads(client.files.content(str(batch.output_file_id)).text)
        assert [each.id for each in client.batches.list()] == [batch.id]
    assert (batch.status, batch.metadata) == ("completed", {"of": "me"})
    assert result["custom_id"] == "a"
    assert result["response"]["body"]["choices"][0]["message"]["content"] == "5"


def test_anthropics_sdk_runs_a_batch() -> None:
    """Submit, look, fetch."""
    params: Any = {"model": "facts", "max_tokens": 9, "messages": [{"role": "user", "content": "What is 2 + 3?"}]}
    with DemoProvider() as provider, anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
        made = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
        batch = client.messages.batches.retrieve(made.id)
        (result,) = client.messages.batches.results(made.id)
    assert (batch.processing_status, batch.request_counts.succeeded) == ("ended", 1)
    assert (result.custom_id, result.result.message.content[0].text) == ("a", "5")


def test_both_sdks_list_the_models() -> None:
    """Each in its form."""
    with DemoProvider() as provider:
        with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k") as client:
            assert "facts" in [model.id for model in client.models.list()]
        with anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
            assert "facts" in [model.id for model in client.models.list()]
            assert client.messages.count_tokens(model="facts", messages=ASKED).input_tokens == 3
