"""The OpenAI-compatible chat format: what is sent, and where."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pytest_llmbench.clients.asking import ask
from pytest_llmbench.clients.decoded import DONE
from pytest_llmbench.clients.openai_decode import OpenAIDecoded
from pytest_llmbench.clients.openai_messages import openai_messages
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.wire import Wire

PATH = "/v1/chat/completions"

_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


def body(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body of a request."""
    return body_with(limit_of(endpoint), endpoint, request)


def body_with(limit: str, endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body, with the longest answer under the name `limit`; where the extra fields name it, theirs holds."""
    asked = {"temperature": request.temperature, "seed": request.seed}
    if not _LIMITS & request.extra.keys():
        asked[limit] = request.max_tokens
    said: dict[str, Any] = {"model": endpoint.model_id, "messages": openai_messages(request.messages)}
    said |= {name: value for name, value in asked.items() if value is not None}
    said["stream"] = request.stream
    if request.stream:
        said["stream_options"] = {"include_usage": True}
    return {**said, **request.extra}


def limit_of(endpoint: Endpoint) -> str:
    """What the longest answer is called: OpenAI's reasoning models refuse the name that all others know."""
    return "max_completion_tokens" if _is_openai(endpoint.base_url) else "max_tokens"


def bearer(endpoint: Endpoint) -> Mapping[str, str]:
    """The key as most providers want it."""
    return {"authorization": f"Bearer {endpoint.api_key.reveal()}"} if endpoint.api_key else {}


@functools.lru_cache(maxsize=256)
def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


WIRE = Wire(
    name="an OpenAI-compatible",
    url=lambda endpoint: endpoint.url(PATH),
    headers=bearer,
    body=body,
    decoder=OpenAIDecoded,
    tokens_begin=b"data:",
    end=DONE,
)

chat = functools.partial(ask, WIRE)
"""Asks once; see `asking.ask`."""
