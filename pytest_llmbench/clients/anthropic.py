"""Anthropic's Messages API: what is sent, and where.

Requests are written in OpenAI's words, whoever is asked; `anthropic_messages` says them in Anthropic's. What the API
does not know is refused before it is sent; only a seed is left out, see `docs/explanation/wire-formats.md`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.clients.anthropic_decode import AnthropicDecoded
from pytest_llmbench.clients.anthropic_messages import conversation, tool, tool_choice
from pytest_llmbench.clients.asking import ask
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.wire import Wire
from pytest_llmbench.errors import UsageError

PATH = "/v1/messages"
VERSION = "2023-06-01"
LONGEST_ANSWER = 4096
"""What is asked for where neither the request nor the model says: the API wants a number."""

_UNKNOWN = frozenset(
    {
        "audio",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "modalities",
        "n",
        "prediction",
        "presence_penalty",
        "top_logprobs",
    }
)
"""OpenAI's fields that the Messages API has nothing like."""
_EFFORTS = {"minimal": "low"}
"""Where its word differs; `none` is no effort but no thinking."""


def body(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body of a request.

    Raises:
        UsageError: it asks for what the API does not know.
    """
    if unknown := sorted(_UNKNOWN & request.extra.keys()):
        raise _not_said(endpoint, f"the field {unknown[0]!r}")
    system, messages = conversation(request.messages)
    said: dict[str, Any] = {"model": endpoint.model_id, "messages": messages, "max_tokens": _limit(endpoint, request)}
    if system:
        said["system"] = system
    if request.temperature is not None:
        said["temperature"] = _temperature(endpoint, request.temperature)
    said["stream"] = request.stream
    said = _merged(said, _translated(endpoint, request.extra))
    if _thinks(said):
        said.pop("temperature", None)
    return said


def headers(endpoint: Endpoint) -> Mapping[str, str]:
    """The key, and the version of the API that is spoken."""
    key = {"x-api-key": endpoint.api_key.reveal()} if endpoint.api_key else {}
    return {"anthropic-version": VERSION, **key}


def _limit(endpoint: Endpoint, request: ChatRequest) -> int:
    return request.max_tokens or endpoint.max_output_tokens or LONGEST_ANSWER


def _temperature(endpoint: Endpoint, temperature: float) -> float:
    if temperature > 1:
        raise _not_said(endpoint, f"a temperature of {temperature:g}", "its temperatures end at 1")
    return temperature


def _thinks(said: Mapping[str, Any]) -> bool:
    """Whether thinking is asked for: then the API takes no temperature but its own."""
    thinking = said.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in {"enabled", "adaptive"}


def _translated(endpoint: Endpoint, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The extra fields, those of OpenAI in Anthropic's words; others are sent as they are."""
    said: dict[str, Any] = {}
    for name, value in extra.items():
        translate = _TRANSLATIONS.get(name)
        said = _merged(said, {name: value} if translate is None else translate(endpoint, value))
    if extra.get("parallel_tool_calls") is False:
        said["tool_choice"] = _one_at_a_time(said.get("tool_choice", {"type": "auto"}))
    return said


def _stop(_: Endpoint, stop: Any) -> dict[str, Any]:
    return {"stop_sequences": [stop] if isinstance(stop, str) else list(stop or ())}


def _tools(_: Endpoint, tools: Any) -> dict[str, Any]:
    return {"tools": [tool(each) for each in tools]}


def _tool_choice(_: Endpoint, choice: Any) -> dict[str, Any]:
    return {"tool_choice": tool_choice(choice)}


def _one_at_a_time(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAI's `parallel_tool_calls: false` is a part of the choice, which has it only where tools may be used."""
    return choice if choice["type"] == "none" else {**choice, "disable_parallel_tool_use": True}


def _response_format(endpoint: Endpoint, wanted: Any) -> dict[str, Any]:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "text":
        return {}
    told = wanted.get("json_schema") if kind == "json_schema" else None
    schema = told.get("schema") if isinstance(told, dict) else None
    if schema is None:
        hint = "give a schema: response_format={'type': 'json_schema', 'json_schema': {'schema': {...}}}"
        raise _not_said(endpoint, f"a response_format of type {kind!r}", hint)
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def _effort(_: Endpoint, effort: Any) -> dict[str, Any]:
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    return {"output_config": {"effort": _EFFORTS.get(effort, effort)}}


_TRANSLATIONS: Mapping[str, Callable[[Endpoint, Any], dict[str, Any]]] = {
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": lambda *_: {},
    "response_format": _response_format,
    "reasoning_effort": _effort,
    "max_completion_tokens": lambda _, most: {"max_tokens": most},
    "user": lambda _, user: {"metadata": {"user_id": user}},
}


def _merged(said: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have the same object, its members from both: two fields may say parts of one."""
    merged = dict(said)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if both else value
    return merged


def _not_said(
    endpoint: Endpoint, what: str, hint: str = "leave it out, or ask a model of another provider"
) -> UsageError:
    return UsageError(f"{endpoint.name}: {what} cannot be asked of Anthropic's Messages API", hint=hint)


WIRE = Wire(
    name="an Anthropic-compatible",
    url=lambda endpoint: endpoint.url(PATH),
    headers=headers,
    body=body,
    decoder=AnthropicDecoded,
    tokens_begin=b"event: content_block_delta\n",
    end=b"message_stop",
)

chat = functools.partial(ask, WIRE)
"""Asks once; see `asking.ask`."""
