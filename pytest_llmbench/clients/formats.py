"""Wire formats by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pytest_llmbench.clients import anthropic, azure, openai
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.wire import OnHeaders, OnText, Wire
from pytest_llmbench.http import Deadlines
from pytest_llmbench.http.pool import Pool
from pytest_llmbench.records import Reply


class Chat(Protocol):
    """Asks once, no retries; see `asking.ask`."""

    async def __call__(
        self,
        endpoint: Endpoint,
        request: ChatRequest,
        deadlines: Deadlines,
        *,
        keep_events: bool = False,
        pool: Pool | None = None,
        on_headers: OnHeaders | None = None,
        on_text: OnText | None = None,
    ) -> Reply: ...


FORMATS: Mapping[str, Chat] = {"openai": openai.chat, "anthropic": anthropic.chat, "azure": azure.chat}

WIRES: Mapping[str, Wire] = {"openai": openai.WIRE, "anthropic": anthropic.WIRE, "azure": azure.AZURE}
"""For who makes and reads bodies that go another way, as batch APIs: `WIRES[name].body`, `asking.read_whole`."""
