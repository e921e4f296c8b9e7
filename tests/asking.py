"""How the client's tests ask a scripted provider."""

from __future__ import annotations

from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, Model, chat
from pytest_llmbench.demo import DemoProvider, Reaction
from pytest_llmbench.records import Reply
from pytest_llmbench.secret import Secret

PATIENT = http.Deadlines(connect_s=20, ttft_s=20, idle_s=20, total_s=60)
KEY = "sk-very-secret-key"


def endpoint_of(provider: DemoProvider) -> Endpoint:
    """The provider as an endpoint with a key."""
    return Endpoint(base_url=provider.url, api_key=Secret(KEY), model_id="served-name", name="demo/name")


def ask_at(
    provider: DemoProvider, *, deadlines: http.Deadlines = PATIENT, keep_events: bool = False, **fields: Any
) -> Reply:
    """One question to a running provider; `fields` are those of `ChatRequest`."""
    request = ChatRequest("demo/name", ({"role": "user", "content": "say something"},), **fields)
    return http.run(chat(endpoint_of(provider), request, deadlines, keep_events=keep_events))


def ask(reaction: Reaction, **options: Any) -> Reply:
    """One question to a provider that reacts as told."""
    with DemoProvider(reaction) as provider:
        return ask_at(provider, **options)


def model_of(provider: DemoProvider, **options: Any) -> Model:
    """The provider as tests of users hold it."""
    return Model("demo/name", endpoint=lambda: endpoint_of(provider), deadlines=PATIENT, **options)
