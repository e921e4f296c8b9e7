"""How the client's tests ask a scripted provider."""

from __future__ import annotations

from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, Model
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.demo import DemoProvider, Reaction
from pytest_llmbench.records import Reply
from pytest_llmbench.secret import Secret

PATIENT = http.Deadlines(connect_s=20, ttft_s=20, idle_s=20, total_s=60)
KEY = "sk-very-secret-key"


CALLBACKS = frozenset({"keep_events", "pool", "on_headers", "on_text"})


def endpoint_of(provider: DemoProvider, wire: str = "openai") -> Endpoint:
    """The provider as an endpoint with a key."""
    name = {"model_id": "served-name", "name": "demo/name", "format": wire}
    return Endpoint(base_url=provider.url, api_key=Secret(KEY), **name)


def ask_at(
    provider: DemoProvider, *, deadlines: http.Deadlines = PATIENT, wire: str = "openai", **options: Any
) -> Reply:
    """One question to a running provider; `options` are those of `chat` and the fields of `ChatRequest`."""
    asked = {"messages": ({"role": "user", "content": "say something"},)}
    asked |= {name: value for name, value in options.items() if name not in CALLBACKS}
    callbacks = {name: value for name, value in options.items() if name in CALLBACKS}
    return http.run(
        FORMATS[wire](endpoint_of(provider, wire), ChatRequest("demo/name", **asked), deadlines, **callbacks)
    )


def ask(reaction: Reaction, **options: Any) -> Reply:
    """One question to a provider that reacts as told."""
    with DemoProvider(reaction) as provider:
        return ask_at(provider, **options)


def model_of(provider: DemoProvider, **options: Any) -> Model:
    """The provider as tests of users hold it."""
    return Model("demo/name", endpoint=lambda: endpoint_of(provider), deadlines=PATIENT, **options)
