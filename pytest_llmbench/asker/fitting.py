"""A request made to fit the model it goes to: what a model does not take degrades by a stated rule, or is refused.

| what it does not take | what happens |
|---|---|
| temperature, seed, reasoning | left out, with a note |
| system message | put before the first message of the user, with a note |
| JSON schema | left out and written into the prompt, with a note |
| an answer as long as `max_tokens` | `max_tokens` is lowered to the longest it gives, with a note |
| images, audio, tools, logprobs | `UsageError`, before anything is spent |

What nobody told of a model (None) is sent as it is, where `probing` did not find it out before.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Target

REFUSED = frozenset({"images", "audio", "tools", "logprobs"})
"""Without these the answer would be one to another question."""
_REASONING = ("reasoning", "reasoning_effort", "thinking")
_TOOLS = ("tools", "functions")
_LOGPROBS = ("logprobs", "top_logprobs")
_PARTS = {"image_url": "images", "image": "images", "input_image": "images", "input_audio": "audio", "audio": "audio"}


def fitted(request: ChatRequest, target: Target) -> tuple[ChatRequest, tuple[str, ...]]:
    """The request as `target` takes it; quick, and the very same request where nothing had to give way.

    Returns:
        The request, and what was changed, a sentence each.

    Raises:
        UsageError: it needs what the model does not take.
    """
    lacking = [feature for feature in sorted(needs(request)) if getattr(target.capabilities, feature) is False]
    for feature in lacking:
        if feature in REFUSED:
            raise _refusal(feature, target)
    notes: list[str] = []
    for feature in lacking:
        request, note = _RULES[feature](request)
        notes.append(f"{target.name}: {note}")
    longest = target.max_output_tokens
    if longest is not None and request.max_tokens is not None and request.max_tokens > longest:
        notes.append(f"{target.name}: max_tokens is {longest} instead of {request.max_tokens}, the most that it gives")
        request = dataclasses.replace(request, max_tokens=longest)
    return request, tuple(notes)


def needs(request: ChatRequest) -> set[str]:
    """Which capabilities a request makes use of, by their names in `Capabilities`."""
    found = {name for name in ("temperature", "seed") if getattr(request, name) is not None}
    for message in request.messages:
        if message.get("role") in {"system", "developer"}:
            found.add("system")
        if not isinstance(content := message.get("content"), str):
            found.update(_needs_of_parts(content))
    return found | _needs_of_extra(request.extra) if request.extra else found


def _needs_of_parts(content: Any) -> set[str]:
    parts = content if isinstance(content, list | tuple) else ()
    kinds = {str(part.get("type")) for part in parts if isinstance(part, Mapping)}
    return {_PARTS[kind] for kind in kinds & _PARTS.keys()}


def _needs_of_extra(extra: Mapping[str, Any]) -> set[str]:
    groups = {"reasoning": _REASONING, "tools": _TOOLS, "logprobs": _LOGPROBS}
    found = {feature for feature, names in groups.items() if any(extra.get(name) for name in names)}
    return found | {"json_schema"} if _schema(extra) is not None else found


def _schema(extra: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = extra.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    return wanted


def _refusal(feature: str, target: Target) -> UsageError:
    told = target.capabilities.source
    return UsageError(
        f"{target.name} does not take {feature} (says {told}), and the request holds some; nothing was asked",
        hint=f"choose another model, or state `capabilities: {{{feature}: true}}` for it under `providers:` in "
        "llmbench.yaml where that is wrong",
    )


def _without_temperature(request: ChatRequest) -> tuple[ChatRequest, str]:
    return dataclasses.replace(request, temperature=None), "takes no temperature, so that none was sent"


def _without_seed(request: ChatRequest) -> tuple[ChatRequest, str]:
    return dataclasses.replace(request, seed=None), "takes no seed, so that none was sent"


def _without_reasoning(request: ChatRequest) -> tuple[ChatRequest, str]:
    extra = {name: value for name, value in request.extra.items() if name not in _REASONING}
    return dataclasses.replace(request, extra=extra), "does not reason, so that it was not told how much"


def _without_system(request: ChatRequest) -> tuple[ChatRequest, str]:
    system = [message for message in request.messages if message.get("role") in {"system", "developer"}]
    others = [message for message in request.messages if message.get("role") not in {"system", "developer"}]
    text = "\n\n".join(_text_of(message.get("content")) for message in system)
    place = next((at for at, message in enumerate(others) if message.get("role") == "user"), 0)
    others[place : place + 1] = [_begun_with(text, others[place])] if others else [{"role": "user", "content": text}]
    note = "takes no system message, so that it was put before the user's"
    return dataclasses.replace(request, messages=tuple(others)), note


def _without_schema(request: ChatRequest) -> tuple[ChatRequest, str]:
    wanted = request.extra["response_format"]
    told = wanted.get("json_schema", wanted)
    schema = json.dumps(told.get("schema", told) if isinstance(told, Mapping) else told, ensure_ascii=False)
    order = f"Answer with JSON alone, without any other text, valid under this JSON schema:\n{schema}"
    extra = {name: value for name, value in request.extra.items() if name != "response_format"}
    last = {"role": "user", "content": order}
    messages = list(request.messages)
    if messages and messages[-1].get("role") == "user":
        last = _ended_with(order, messages.pop())
    note = "takes no JSON schema, so that it was written into the prompt"
    return dataclasses.replace(request, messages=(*messages, last), extra=extra), note


def _begun_with(text: str, message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": f"{text}\n\n{content}"}
    return {**message, "content": [{"type": "text", "text": text}, *(content or ())]}


def _ended_with(text: str, message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": f"{content}\n\n{text}"}
    return {**message, "content": [*(content or ()), {"type": "text", "text": text}]}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    return "\n\n".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


_RULES: Mapping[str, Callable[[ChatRequest], tuple[ChatRequest, str]]] = {
    "temperature": _without_temperature,
    "seed": _without_seed,
    "reasoning": _without_reasoning,
    "system": _without_system,
    "json_schema": _without_schema,
}
