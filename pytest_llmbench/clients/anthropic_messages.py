"""A conversation and its tools, written as for OpenAI, in Anthropic's words. What is in them already stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import UsageError

_DATA_URL = re.compile(r"data:(?P<type>[^;,]+);base64,(?P<data>.*)", re.DOTALL)
_SYSTEM = frozenset({"system", "developer"})
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}

_Block = dict[str, Any]


def conversation(messages: Iterable[Message]) -> tuple[str | list[_Block], list[Message]]:
    """The system prompt and the other messages.

    The system messages that a conversation begins with are its system prompt; a later one keeps its place and its
    role, which not every model takes. Results of tools that follow each other are one message of the user's.

    Raises:
        UsageError: a part of a message cannot be said.
    """
    system: list[_Block] = []
    rest: list[Message] = []
    for message in messages:
        if message.get("role") in _SYSTEM and not rest:
            system += _blocks(message.get("content"))
        elif message.get("role") == "tool":
            _add_result(rest, message)
        else:
            rest.append(_message(message))
    texts_only = all(block.keys() == {"type", "text"} for block in system)
    return "\n\n".join(block["text"] for block in system) if texts_only else system, rest


def tool(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """One tool; those of Anthropic's own form are given back."""
    function = told.get("function")
    if not isinstance(function, dict):
        return told
    said = {"name": function.get("name"), "input_schema": function.get("parameters") or {"type": "object"}}
    return said | {name: function[name] for name in ("description", "strict") if name in function}


def tool_choice(told: Any) -> Any:
    """Which tool is to be used."""
    if isinstance(told, str):
        return {"type": _CHOICES.get(told, told)}
    function = told.get("function") if isinstance(told, dict) else None
    return {"type": "tool", "name": function.get("name")} if isinstance(function, dict) else told


def _message(message: Message) -> Message:
    role = "system" if message.get("role") in _SYSTEM else message.get("role")
    calls, content = message.get("tool_calls"), message.get("content")
    if calls:
        return {"role": role, "content": [*_blocks(content), *(_use(call) for call in calls)]}
    return {"role": role, "content": _blocks(content) if isinstance(content, list) else content}


def _add_result(messages: list[Message], message: Message) -> None:
    content = message.get("content")
    said = _blocks(content) if isinstance(content, list) else content
    result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": said}
    last = messages[-1] if messages else {}
    if last.get("role") == "user" and isinstance(last["content"], list) and _is_result(last["content"][-1]):
        messages[-1] = {"role": "user", "content": [*last["content"], result]}
    else:
        messages.append({"role": "user", "content": [result]})


def _is_result(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


def _use(call: Mapping[str, Any]) -> _Block:
    function = call.get("function", {})
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError as error:
        raise UsageError(f"the arguments of the tool call {function.get('name')!r} are no JSON: {error}") from error
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}


def _blocks(content: Any) -> list[_Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content or ()]


def _block(part: Any) -> _Block:
    if not isinstance(part, dict):
        raise UsageError(f"a part of a message is an object with a `type`, not {part!r:.80}")
    kind = str(part.get("type"))
    if kind == "image_url":
        image = part.get("image_url")
        return {"type": "image", "source": _source(str(image.get("url") if isinstance(image, dict) else image))}
    if kind == "file":
        file = part.get("file")
        return {"type": "document", "source": _source(str(file.get("file_data") if isinstance(file, dict) else file))}
    if kind in {"input_audio", "video_url"}:
        raise UsageError(
            f"a part of type {kind!r} cannot be said to Anthropic's Messages API, which takes texts, images and PDFs"
        )
    return part


def _source(url: str) -> _Block:
    if (data := _DATA_URL.fullmatch(url)) is not None:
        return {"type": "base64", "media_type": data["type"], "data": data["data"]}
    return {"type": "url", "url": url}
