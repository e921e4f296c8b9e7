"""The same answers and failures in the format of Anthropic's Messages API.

Its prompt counts tell apart what OpenAI's sum: `input_tokens` holds neither what was read from the cache nor what was
written to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pytest_llmbench.demo.script import Answer, ChatBody, Failure
from pytest_llmbench.demo.steps import Event, Page, Step, Wait, whole_page

_BLOCKS = {"reasoning": "thinking", "content": "text", "tool": "tool_use"}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def answer_page(answer: Answer, body: ChatBody) -> Page:
    """An answer as `/v1/messages` gives it, streamed or not."""
    if not body.get("stream"):
        return answer.whole_page(body, _message(answer, body))
    error = {"type": "error", "error": {"type": "overloaded_error", "message": answer.error_message}}
    steps = answer.broken(list(_stream(answer, body)), Event(error, "error", "error"))
    return Page(steps, headers=answer.headers, headers_after_s=answer.headers_after_s)


def failure_page(failure: Failure) -> Page:
    """A failure as Anthropic words it."""
    if failure.body is not None:
        return failure.page()
    kind = _ERRORS.get(failure.status, "api_error" if failure.status >= 500 else "invalid_request_error")
    body = {"type": "error", "error": {"type": kind, "message": failure.message}, "request_id": "req_demo"}
    headers = {"request-id": "req_demo", **failure.headers}
    return whole_page(json.dumps(body).encode(), failure.status, failure.content_type, headers, "error")


def _message(answer: Answer, body: ChatBody) -> dict[str, Any]:
    said = answer.texts(body)
    content: list[dict[str, Any]] = []
    if said["reasoning"]:
        content.append({"type": "thinking", "thinking": said["reasoning"], "signature": "demo"})
    if said["content"] or not answer.tool_name:
        content.append({"type": "text", "text": said["content"]})
    if answer.tool_name:
        arguments = json.loads(said["tool"] or "{}")
        content.append({"type": "tool_use", "id": "toolu_demo", "name": answer.tool_name, "input": arguments})
    return {
        **_head(answer, body),
        "content": content,
        "stop_reason": _stop(answer, body),
        "usage": _usage(answer, body),
    }


def _stream(answer: Answer, body: ChatBody) -> Iterator[Step]:
    begun = {**_usage(answer, body), "output_tokens": 1}
    yield _event({"type": "message_start", "message": {**_head(answer, body), "content": [], "usage": begun}}, "role")
    if answer.progress_events or answer.role_event:
        yield _event({"type": "ping"}, "progress")
    index, now = -1, ""
    for number, (kind, piece) in enumerate(answer.said(body)):
        yield Wait(answer.itl_s if number else answer.ttft_s)
        if kind != now:
            if now:
                yield _event({"type": "content_block_stop", "index": index}, "block")
            index, now = index + 1, kind
            yield _event(
                {"type": "content_block_start", "index": index, "content_block": _begun(answer, kind)}, "block"
            )
        yield _event({"type": "content_block_delta", "index": index, "delta": _delta(kind, piece)}, kind)
    if now:
        yield _event({"type": "content_block_stop", "index": index}, "block")
    yield from _end(answer, body)


def _end(answer: Answer, body: ChatBody) -> Iterator[Step]:
    if answer.finish_reason is not None:
        delta = {"stop_reason": _stop(answer, body), "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": delta, "usage": _usage(answer, body)}, "finish")
    if answer.done:
        yield _event({"type": "message_stop"}, "done")


def _event(payload: dict[str, Any], kind: str) -> Event:
    return Event(payload, kind, payload["type"])


def _head(answer: Answer, body: ChatBody) -> dict[str, Any]:
    return {
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": answer.served_model or body.get("model"),
        "stop_reason": None,
        "stop_sequence": None,
    }


def _begun(answer: Answer, kind: str) -> dict[str, Any]:
    if kind == "tool":
        return {"type": "tool_use", "id": "toolu_demo", "name": answer.tool_name or "demo", "input": {}}
    if kind == "reasoning":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _delta(kind: str, piece: str) -> dict[str, Any]:
    if kind == "tool":
        return {"type": "input_json_delta", "partial_json": piece}
    field = _BLOCKS[kind]
    return {"type": f"{field}_delta", field: piece}


def _stop(answer: Answer, body: ChatBody) -> str | None:
    finish = answer.finish(body)
    if answer.tool_name and finish == "stop":
        return "tool_use"
    return finish and _STOPS.get(finish, finish)


def _usage(answer: Answer, body: ChatBody) -> dict[str, Any]:
    if not answer.usage:
        return {"input_tokens": 0, "output_tokens": 0}
    prompt, completion, _ = answer.counts(body)
    return {
        "input_tokens": prompt - answer.cached_tokens - answer.cache_write_tokens,
        "output_tokens": completion,
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation_input_tokens": answer.cache_write_tokens,
    }
