"""Messages as OpenAI-compatible servers want them: a conversation may hold Anthropic's image blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmbench.clients.request import Message


def openai_messages(messages: Iterable[Message]) -> list[Message]:
    """The messages with Anthropic's image blocks as `image_url` parts; all else is sent as it is."""
    return [
        {**message, "content": [_part(part) for part in content]}
        if isinstance(content := message.get("content"), list)
        else message
        for message in messages
    ]


def _part(part: Any) -> Any:
    if not (isinstance(part, dict) and part.get("type") == "image" and isinstance(part.get("source"), dict)):
        return part
    return {"type": "image_url", "image_url": {"url": _url(part["source"])}}


def _url(source: Mapping[str, Any]) -> str:
    if source.get("type") == "url":
        return str(source.get("url"))
    return f"data:{source.get('media_type')};base64,{source.get('data')}"
