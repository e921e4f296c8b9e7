"""From the events or the body of Anthropic's Messages API to text, counts and clock readings.

Events are told apart by the `type` within their data, which is there also where a gateway leaves out their names.
Types that are not known are read over: the API announces that more will come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_llmbench.clients.decoded import Decoded, FormatError, count, finish_reason, member, numbers, objects, total
from pytest_llmbench.clients.openai_usage import billed_usd
from pytest_llmbench.clients.refusals import error_in
from pytest_llmbench.records import Usage


@dataclass(slots=True)
class AnthropicDecoded(Decoded):
    """What a message said, as far as it came."""

    unanswered: ClassVar[str] = "an answer that is no message"

    def _add(self, payload: Mapping[str, Any], arrived_at: float | None) -> None:
        self.error = error_in(payload)
        kind = payload.get("type")
        if kind == "content_block_delta":
            self._add_piece(payload, arrived_at)
        elif kind == "content_block_start":
            block = member(payload, "content_block", dict) or {}
            self._begin_block(member(payload, "index", int), block, arrived_at)
        elif kind == "message_start":
            self._begin(member(payload, "message", dict) or {})
        elif kind == "message_delta":
            self._end(member(payload, "delta", dict) or {}, payload)
        elif kind == "message_stop":
            self.ended = self.over = True
        elif kind == "message":
            self._whole(payload, arrived_at)

    def _add_piece(self, payload: Mapping[str, Any], arrived_at: float | None) -> None:
        content, reasoning, arguments = _texts(member(payload, "delta", dict) or {})
        self._generated(content, reasoning, arguments, arrived_at)
        if arguments:
            self.tool_calls.add(member(payload, "index", int), arguments)

    def _begin_block(self, index: int | None, block: Mapping[str, Any], arrived_at: float | None) -> None:
        """Tools that the provider itself runs (`server_tool_use`) have arguments too, and call for nothing."""
        self._generated(*_texts(block), arrived_at)
        if block.get("type") == "tool_use":
            id_, name = member(block, "id", str) or "", member(block, "name", str) or ""
            self.tool_calls.begin(index, id_, name, _as_text(member(block, "input", dict) or {}))
        else:
            self.tool_calls.end(index)

    def _begin(self, message: Mapping[str, Any]) -> None:
        """The count of output tokens that stands here is that of the first few: the true one comes at the end."""
        self.answered = True
        self.served_model = member(message, "model", str) or self.served_model
        usage = member(message, "usage", dict) or {}
        self._count({name: value for name, value in usage.items() if name != "output_tokens"})

    def _end(self, told: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        self.finish_reason = finish_reason(member(told, "stop_reason", str) or self.finish_reason)
        self.ended = self.ended or bool(self.finish_reason)
        self._count(member(payload, "usage", dict) or {})
        if "timings" in payload:
            self.timings = numbers(member(payload, "timings", dict))

    def _whole(self, message: Mapping[str, Any], arrived_at: float | None) -> None:
        self._begin(message)
        for block in objects(message, "content"):
            self._begin_block(None, block, arrived_at)
        self._end(message, message)

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts are cumulative: a later one takes the place of an earlier."""
        self.usage = {**self.usage, **{name: value for name, value in usage.items() if value is not None}}

    def tokens(self) -> Usage:
        """Anthropic's input tokens leave out those read from and written to the cache; ours are all of them."""
        told = self.usage
        fresh, read, written = (
            count(told.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        )
        details = told.get("output_tokens_details")
        return Usage(
            prompt_tokens=None if fresh is None else total(fresh, read, written),
            completion_tokens=count(told.get("output_tokens")),
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
            billed_usd=billed_usd(told),
        )


def _texts(piece: Mapping[str, Any]) -> tuple[str, str, str]:
    """Content, reasoning and tool-call arguments of a block or of a piece of one."""
    kind = member(piece, "type", str)
    if kind in {"text_delta", "text"}:
        return member(piece, "text", str) or "", "", ""
    if kind in {"thinking_delta", "thinking"}:
        return "", member(piece, "thinking", str) or "", ""
    if kind == "input_json_delta":
        return "", "", member(piece, "partial_json", str) or ""
    return "", "", ""


def _as_text(arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except RecursionError as error:
        raise FormatError(f"'input' nested too deeply: {error}") from error
