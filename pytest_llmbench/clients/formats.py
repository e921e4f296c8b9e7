"""Wire formats by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pytest_llmbench import http
from pytest_llmbench.clients import openai
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.records import Reply


class Chat(Protocol):
    """Asks once, no retries; see `openai.chat`."""

    async def __call__(
        self, endpoint: Endpoint, request: ChatRequest, deadlines: http.Deadlines, *, keep_events: bool = False
    ) -> Reply: ...


FORMATS: Mapping[str, Chat] = {"openai": openai.chat}
