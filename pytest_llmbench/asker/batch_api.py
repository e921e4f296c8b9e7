"""The batch APIs of OpenAI and Anthropic: submit, look, fetch. No store, no retries.

A custom id is `TOKEN-NUMBER`; the token is the batch's own, by which it is found again where nobody knows any more
whether it was submitted.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from pytest_llmbench.clients import Endpoint
from pytest_llmbench.clients.formats import WIRES
from pytest_llmbench.clients.refusals import refusal
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import Deadlines, Fetched, Request, fetch

MOST_REQUESTS = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""Of one batch; the APIs take more, but memory is ours."""
_DEADLINES = Deadlines(connect_s=20, ttft_s=300, idle_s=120, total_s=1800)
_MOST_RESULT_BYTES = 1024 * 1024 * 1024
_LISTED = 100
_CLOCKS = timedelta(minutes=10)
"""By how much the provider's clock and ours may differ."""


@dataclass(frozen=True, slots=True)
class Polled:
    """How a batch stands."""

    ended: bool
    status: str
    """In the provider's word."""
    problem: str = ""
    """Why it failed as a whole."""
    sources: Sequence[str] = ()
    """Paths of what has come of it."""


@dataclass(frozen=True, slots=True)
class Item:
    """What came of one request."""

    custom_id: str
    status: int
    """200: `body` is a reply; another status: the error of a refusal; 0: it was never done, `problem` says why."""
    body: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Sought:
    """A batch that may have been submitted."""

    token: str
    requests: int
    since: datetime
    taken: frozenset[str]
    """Ids of batches that are known to be others."""


@dataclass(frozen=True, slots=True)
class BatchApi:
    """One provider's way."""

    create: Callable[[Endpoint, Mapping[str, Any]], Awaitable[str]]
    """Submits bodies by custom id; returns the provider's id."""
    poll: Callable[[Endpoint, str], Awaitable[Polled]]
    items: Callable[[bytes], list[Item]]
    """Reads what one of `Polled.sources` gave."""
    find: Callable[[Endpoint, Sought], Awaitable[str]]
    """The provider's id of a batch that may be there; empty where it is not."""


def token_of(custom_ids: Iterable[str]) -> str:
    """The token in a batch's custom ids."""
    return next(iter(custom_ids)).rpartition("-")[0]


async def fetched(endpoint: Endpoint, path: str) -> bytes:
    """The body at a path, whole.

    Raises:
        WireError: it cannot be had.
    """
    return (await _exchange(endpoint, "GET", path)).body


async def _openai_create(endpoint: Endpoint, bodies: Mapping[str, Any]) -> str:
    url, token = "/v1/chat/completions", token_of(bodies)
    rows = [{"custom_id": name, "method": "POST", "url": url, "body": body} for name, body in bodies.items()]
    uploaded = await _upload(endpoint, f"{token}.jsonl", b"".join(_line(row) for row in rows))
    told = {
        "input_file_id": uploaded["id"],
        "endpoint": url,
        "completion_window": "24h",
        "metadata": {"llmbench": token},
    }
    return str((await _posted(endpoint, "/v1/batches", told))["id"])


async def _openai_poll(endpoint: Endpoint, batch: str) -> Polled:
    told = _object(await fetched(endpoint, f"/v1/batches/{batch}"), endpoint)
    status = str(told.get("status"))
    files = [told.get("output_file_id"), told.get("error_file_id")]
    return Polled(
        ended=status in {"completed", "failed", "expired", "cancelled"},
        status=status,
        problem=_problems(told.get("errors")) if status == "failed" else "",
        sources=[f"/v1/files/{each}/content" for each in files if each],
    )


def _openai_items(data: bytes) -> list[Item]:
    return [_openai_item(row) for row in _rows(data)]


def _openai_item(row: Mapping[str, Any]) -> Item:
    response, error = row.get("response"), row.get("error") or {}
    if not response:
        return Item(str(row.get("custom_id")), 0, problem=str(error.get("message") or error.get("code") or "no word"))
    return Item(str(row.get("custom_id")), int(response.get("status_code") or 0), _line(response.get("body")))


async def _openai_find(endpoint: Endpoint, sought: Sought) -> str:
    told = _object(await fetched(endpoint, f"/v1/batches?limit={_LISTED}"), endpoint)
    for each in told.get("data") or ():
        if (each.get("metadata") or {}).get("llmbench") == sought.token:
            return str(each["id"])
    return ""


async def _anthropic_create(endpoint: Endpoint, bodies: Mapping[str, Any]) -> str:
    requests = [{"custom_id": name, "params": body} for name, body in bodies.items()]
    return str((await _posted(endpoint, "/v1/messages/batches", {"requests": requests}))["id"])


async def _anthropic_poll(endpoint: Endpoint, batch: str) -> Polled:
    told = _object(await fetched(endpoint, f"/v1/messages/batches/{batch}"), endpoint)
    status = str(told.get("processing_status"))
    ended = status == "ended"
    return Polled(ended, status, sources=[f"/v1/messages/batches/{batch}/results"] if ended else [])


def _anthropic_items(data: bytes) -> list[Item]:
    return [_anthropic_item(row) for row in _rows(data)]


def _anthropic_item(row: Mapping[str, Any]) -> Item:
    result, name = row.get("result") or {}, str(row.get("custom_id"))
    if result.get("type") == "succeeded":
        return Item(name, 200, _line(result.get("message")))
    if result.get("type") == "errored":
        return Item(name, 400, _line(result.get("error")))
    return Item(name, 0, problem=f"the request was {result.get('type')}")


async def _anthropic_find(endpoint: Endpoint, sought: Sought) -> str:
    """It keeps no notes of ours: the one batch of that time and size, if there is just one, of which nobody knows."""
    told = _object(await fetched(endpoint, f"/v1/messages/batches?limit={_LISTED}"), endpoint)
    fitting = [str(each["id"]) for each in told.get("data") or () if _may_be(each, sought)]
    return fitting[0] if len(fitting) == 1 else ""


def _may_be(batch: Mapping[str, Any], sought: Sought) -> bool:
    counts = batch.get("request_counts") or {}
    born = datetime.fromisoformat(str(batch.get("created_at")).replace("Z", "+00:00"))
    alike = sum(counts.values()) == sought.requests and born >= sought.since - _CLOCKS
    return alike and str(batch.get("id")) not in sought.taken


APIS: Mapping[str, BatchApi] = {
    "openai": BatchApi(_openai_create, _openai_poll, _openai_items, _openai_find),
    "anthropic": BatchApi(_anthropic_create, _anthropic_poll, _anthropic_items, _anthropic_find),
}


async def _upload(endpoint: Endpoint, name: str, data: bytes) -> Mapping[str, Any]:
    boundary = uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{boundary}\r\n'
    head += f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += "Content-Type: application/jsonl\r\n\r\n"
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    content_type = f"multipart/form-data; boundary={boundary}"
    answer = await _exchange(endpoint, "POST", "/v1/files", body, content_type)
    return _object(answer.body, endpoint)


async def _posted(endpoint: Endpoint, path: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object((await _exchange(endpoint, "POST", path, _line(told))).body, endpoint)


async def _exchange(
    endpoint: Endpoint, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
) -> Fetched:
    headers = {**endpoint.headers, "content-type": content_type, **WIRES[endpoint.format].headers(endpoint)}
    request = Request(method, endpoint.url(path), headers, body)
    answer = await fetch(request, _DEADLINES, max_bytes=_MOST_RESULT_BYTES)
    if 200 <= answer.status < 300:
        return answer
    error = refusal(request.shown, answer.status, answer.headers, answer.body, endpoint.api_key)
    if answer.status in {404, 405} and method == "POST":
        error.hint = "this provider may have no batch API: run without --batch"
    raise error


def _object(data: bytes, endpoint: Endpoint) -> Mapping[str, Any]:
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise WireError(f"{endpoint.name}: the batch API sent no JSON object", category=Category.STREAM_MALFORMED)
    return told


def _rows(data: bytes) -> list[Mapping[str, Any]]:
    try:
        rows = [json.loads(line) for line in data.splitlines() if line.strip()]
    except ValueError as error:
        told = f"the results of a batch are no JSONL: {error}"
        raise WireError(told, category=Category.STREAM_MALFORMED) from error
    return [row for row in rows if isinstance(row, dict)]


def _problems(errors: Any) -> str:
    told = errors.get("data") if isinstance(errors, dict) else None
    messages = [str(each.get("message")) for each in told or () if isinstance(each, dict)]
    return "; ".join(messages[:3]) or "the provider does not say why"


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
