"""A call to a server of this machine, told to those who look on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pytest_llmbench.clients.openai import chat
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.wire import OnText
from pytest_llmbench.http import Deadlines
from pytest_llmbench.observe.seen import Seen
from pytest_llmbench.records import Reply
from pytest_llmbench.records.asked import UNPRICED

Begin = Callable[[Endpoint, int], Seen]
"""(where, which attempt, from 1) → a call that begins; on the loop's thread."""

See = Callable[[Sequence[ChatRequest]], Sequence[Begin] | None]
"""What begins the calls of requests that are asked now, in their order; None: nobody looks on."""


async def seen_chat(
    seen: Seen | None, where: Endpoint, request: ChatRequest, deadlines: Deadlines, on_text: OnText | None = None
) -> Reply:
    """Ask once, as `chat`; where it fails, it is left to the caller to tell whether it is tried again."""
    if seen is None:
        return dataclasses.replace(await chat(where, request, deadlines, on_text=on_text), cost=UNPRICED)
    if seen.headers:
        where = dataclasses.replace(where, headers={**where.headers, **seen.headers})
    try:
        reply = dataclasses.replace(await chat(where, request, deadlines, on_text=on_text), cost=UNPRICED)
    except BaseException as error:
        seen.failed(error, getattr(error, "usage", None), UNPRICED)
        raise
    seen.answered(reply)
    return reply


async def only_chat(
    begin: Begin | None, where: Endpoint, request: ChatRequest, deadlines: Deadlines, on_text: OnText | None = None
) -> Reply:
    """Ask once, as `chat`, and never again."""
    seen = None if begin is None else begin(where, 1)
    try:
        return await seen_chat(seen, where, request, deadlines, on_text)
    finally:
        if seen is not None:
            seen.decided(None)
