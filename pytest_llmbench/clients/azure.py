"""OpenAI's chat format at Azure: other addresses, another header for the key, the same bodies.

An address with an `api-version` that does not end in /v1 is that of the deployments API, in which a deployment is part
of the path; any other is that of the v1 API, in which it is the model of the body.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pytest_llmbench.clients.asking import ask
from pytest_llmbench.clients.openai import WIRE, body_with
from pytest_llmbench.clients.request import ChatRequest, Endpoint

_V1 = "/openai/v1"
_RENAMED_IN = "2024-09-01"
"""From this api-version on `max_completion_tokens` is known."""


def url(endpoint: Endpoint) -> str:
    """Where chats of a deployment are asked."""
    base, mark, query = endpoint.base_url.partition("?")
    base = base.rstrip("/").removesuffix("/openai")
    if _version(endpoint):
        return f"{base}/openai/deployments/{quote(endpoint.model_id, safe='')}/chat/completions{mark}{query}"
    return f"{base.removesuffix(_V1)}{_V1}/chat/completions{mark}{query}"


def headers(endpoint: Endpoint) -> Mapping[str, str]:
    """The key as `api-key`; a token of Entra ID, which is a JSON Web Token, as a bearer's."""
    if not endpoint.api_key:
        return {}
    key = endpoint.api_key.reveal()
    return {"authorization": f"Bearer {key}"} if key.count(".") == 2 else {"api-key": key}


def body(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body of a request."""
    version = _version(endpoint)
    old = bool(version) and version < _RENAMED_IN
    return body_with("max_tokens" if old else "max_completion_tokens", endpoint, request)


def _version(endpoint: Endpoint) -> str:
    """The version of the deployments API; empty for the v1 API."""
    parts = urlsplit(endpoint.base_url)
    if parts.path.rstrip("/").endswith(_V1):
        return ""
    return parse_qs(parts.query).get("api-version", [""])[-1]


AZURE = replace(WIRE, name="an Azure OpenAI", url=url, headers=headers, body=body)

chat = functools.partial(ask, AZURE)
"""Asks once; see `asking.ask`."""
