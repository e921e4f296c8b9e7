"""Batch APIs of both forms: files and batches as OpenAI has them, message batches as Anthropic has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.demo.calls import Call
from pytest_llmbench.demo.faults import EXPIRED
from pytest_llmbench.demo.forms import ANTHROPIC, OPENAI, Form
from pytest_llmbench.demo.script import ChatBody, Failure
from pytest_llmbench.demo.steps import Page, Raw, json_page, whole_page

_LIFE = timedelta(hours=24)

Answer = Callable[[ChatBody, Form], Page]


@dataclass(slots=True)
class Batch:
    """Requests that were submitted together."""

    id: str
    form: Form
    requests: list[tuple[str, dict[str, Any]]]
    """Custom id and body of each."""
    ready_at: float
    """Of `clock.monotonic`."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What whoever made it said of it: endpoint, metadata, ..."""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    cancelled: bool = False
    results: list[tuple[str, Page | None]] | None = None
    """Custom id and page of each; None for a page: it was cancelled or expired. Made when the batch is ready."""

    def count(self, *, good: bool) -> int:
        """How many were answered, or refused."""
        pages = [page for _, page in self.results or () if page is not None]
        return sum((page.status == 200) == good for page in pages)

    @property
    def left_out(self) -> int:
        """How many were cancelled or expired."""
        return sum(page is None for _, page in self.results or ())


class Batches:
    """All batches and files.

    Args:
        answer: makes the page of one request.
        ready_s: seconds from submission until a batch is ready.
    """

    def __init__(self, answer: Answer, ready_s: float = 0.0) -> None:
        self._answer = answer
        self._ready_s = ready_s
        self._batches: dict[str, Batch] = {}
        self._files: dict[str, bytes] = {}
        self.asked = 0
        """Requests in all batches so far."""

    def page(self, call: Call) -> Page | None:
        """What is played for a call to a batch or file endpoint; None where it is another one's."""
        for prefix, respond in (
            ("/v1/files", self._file_page),
            ("/v1/batches", self._openai_page),
            ("/v1/messages/batches", self._anthropic_page),
        ):
            if call.route == prefix or call.route.startswith(prefix + "/"):
                return respond(call, [part for part in call.route.removeprefix(prefix).split("/") if part])
        return None

    def _file_page(self, call: Call, rest: list[str]) -> Page:
        if not rest and call.method == "POST":
            return self._upload(call)
        data = self._files.get(rest[0]) if rest else None
        if data is None:
            return OPENAI.failure(Failure(404, f"no such file: {call.route}"))
        if rest[1:] == ["content"]:
            return whole_page(data, 200, "application/octet-stream", {})
        if call.method == "DELETE":
            del self._files[rest[0]]
            return json_page({"id": rest[0], "object": "file", "deleted": True})
        return json_page(_file(rest[0], data))

    def _upload(self, call: Call) -> Page:
        head = f"Content-Type: {call.headers.get('content-type', '')}\r\n\r\n".encode("latin-1")
        form = message_from_bytes(head + (call.body if isinstance(call.body, bytes) else b""), policy=HTTP)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        if "file" not in parts:
            return OPENAI.failure(Failure(400, "the form has no part `file`"))
        data = parts["file"].get_payload(decode=True)
        return json_page(self._keep(data if isinstance(data, bytes) else b""))

    def _keep(self, data: bytes) -> dict[str, Any]:
        name = f"file-demo{len(self._files) + 1}"
        self._files[name] = data
        return _file(name, data)

    def _openai_page(self, call: Call, rest: list[str]) -> Page:
        if not rest and call.method == "POST":
            return self._openai_submit(call.body or {})
        if not rest:
            batches = [self._openai_batch(each) for each in self._of(OPENAI)]
            return json_page({"object": "list", "data": batches, "has_more": False})
        batch = self._known(rest[0], OPENAI)
        if batch is None:
            return OPENAI.failure(Failure(404, f"no such batch: {rest[0]}"))
        batch.cancelled = batch.cancelled or rest[1:] == ["cancel"]
        return json_page(self._openai_batch(batch))

    def _openai_submit(self, told: Mapping[str, Any]) -> Page:
        data = self._files.get(str(told.get("input_file_id")))
        if data is None:
            return OPENAI.failure(Failure(400, f"no such file: {told.get('input_file_id')}"))
        try:
            rows = [json.loads(line) for line in data.splitlines() if line.strip()]
            requests = [(row["custom_id"], row["body"]) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            return OPENAI.failure(Failure(400, f"the input file is no JSONL of requests: {error!r}"))
        return json_page(self._openai_batch(self._submitted(OPENAI, requests, told)))

    def _openai_batch(self, batch: Batch) -> dict[str, Any]:
        self._settle(batch)
        done = batch.results is not None
        good, bad = batch.count(good=True), batch.count(good=False)
        whole = {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.told.get("endpoint"),
            "input_file_id": batch.told.get("input_file_id"),
            "completion_window": batch.told.get("completion_window"),
            "metadata": batch.told.get("metadata"),
            "created_at": int(batch.created.timestamp()),
            "expires_at": int((batch.created + _LIFE).timestamp()),
            "status": _openai_status(batch),
            "request_counts": {"total": len(batch.requests), "completed": good, "failed": bad},
            "output_file_id": None,
            "error_file_id": None,
        }
        if done:
            whole["output_file_id"] = self._result_file(batch, good=True) if good else None
            whole["error_file_id"] = self._result_file(batch, good=False) if bad or batch.left_out else None
        return whole

    def _result_file(self, batch: Batch, *, good: bool) -> str:
        name = f"file-{batch.id}-{'output' if good else 'error'}"
        if name not in self._files:
            rows = [
                _openai_row(batch, custom_id, page)
                for custom_id, page in batch.results or ()
                if (page is not None and page.status == 200) == good
            ]
            self._files[name] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        return name

    def _anthropic_page(self, call: Call, rest: list[str]) -> Page:
        if not rest and call.method == "POST":
            requests = [(each["custom_id"], each["params"]) for each in (call.body or {}).get("requests", ())]
            return json_page(self._anthropic_batch(self._submitted(ANTHROPIC, requests, {})))
        if not rest:
            batches = [self._anthropic_batch(each) for each in self._of(ANTHROPIC)]
            return json_page({"data": batches, "has_more": False, "first_id": None, "last_id": None})
        batch = self._known(rest[0], ANTHROPIC)
        if batch is None:
            return ANTHROPIC.failure(Failure(404, f"no such batch: {rest[0]}"))
        batch.cancelled = batch.cancelled or rest[1:] == ["cancel"]
        whole = self._anthropic_batch(batch)
        if rest[1:] != ["results"]:
            return json_page(whole)
        if batch.results is None:
            return ANTHROPIC.failure(Failure(400, "the batch has not ended"))
        rows = [_anthropic_row(batch, custom_id, page) for custom_id, page in batch.results]
        return whole_page(b"".join(json.dumps(row).encode() + b"\n" for row in rows), 200, "application/x-jsonl", {})

    def _anthropic_batch(self, batch: Batch) -> dict[str, Any]:
        self._settle(batch)
        done = batch.results is not None
        left_out = {"canceled": batch.left_out if batch.cancelled else 0, "expired": batch.left_out}
        left_out["expired"] -= left_out["canceled"]
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if done else "canceling" if batch.cancelled else "in_progress",
            "request_counts": {
                "processing": 0 if done else len(batch.requests),
                "succeeded": batch.count(good=True),
                "errored": batch.count(good=False),
                **left_out,
            },
            "created_at": batch.created.isoformat(),
            "expires_at": (batch.created + _LIFE).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if done else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"/v1/messages/batches/{batch.id}/results" if done else None,
        }

    def _submitted(self, form: Form, requests: list[tuple[str, dict[str, Any]]], told: Mapping[str, Any]) -> Batch:
        prefix = "msgbatch" if form is ANTHROPIC else "batch"
        batch = Batch(f"{prefix}_demo{len(self._batches) + 1}", form, requests, clock.monotonic() + self._ready_s, told)
        self._batches[batch.id] = batch
        self.asked += len(requests)
        return batch

    def _settle(self, batch: Batch) -> None:
        """Answer all of it once it is time, or none of it once it is cancelled."""
        if batch.results is not None:
            return
        if batch.cancelled:
            batch.results = [(custom_id, None) for custom_id, _ in batch.requests]
        elif clock.monotonic() >= batch.ready_at:
            pages = [
                (custom_id, self._answer({**body, "stream": False}, batch.form)) for custom_id, body in batch.requests
            ]
            batch.results = [(custom_id, None if EXPIRED in page.headers else page) for custom_id, page in pages]

    def _of(self, form: Form) -> list[Batch]:
        return [batch for batch in reversed(self._batches.values()) if batch.form is form]

    def _known(self, name: str, form: Form) -> Batch | None:
        batch = self._batches.get(name)
        return batch if batch is not None and batch.form is form else None


def _openai_status(batch: Batch) -> str:
    if batch.results is None:
        return "in_progress"
    if batch.cancelled:
        return "cancelled"
    return "expired" if batch.left_out else "completed"


def _openai_row(batch: Batch, custom_id: str, page: Page | None) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"batch_req_{custom_id}", "custom_id": custom_id, "response": None, "error": None}
    if page is None:
        code = "batch_cancelled" if batch.cancelled else "batch_expired"
        return {**row, "error": {"code": code, "message": "This request was not executed."}}
    return {**row, "response": {"status_code": page.status, "request_id": "req_demo", "body": _content(page)}}


def _anthropic_row(batch: Batch, custom_id: str, page: Page | None) -> dict[str, Any]:
    if page is None:
        return {"custom_id": custom_id, "result": {"type": "canceled" if batch.cancelled else "expired"}}
    if page.status != 200:
        return {"custom_id": custom_id, "result": {"type": "errored", "error": _content(page)}}
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": _content(page)}}


def _content(page: Page) -> Any:
    data = b"".join(step.data for step in page.steps if isinstance(step, Raw))
    try:
        said = json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")
    usage = said.get("usage") if isinstance(said, dict) else None
    if isinstance(usage, dict) and "cost" in usage:
        usage["cost"] /= 2  # the price of batches
    return said


def _file(name: str, data: bytes) -> dict[str, Any]:
    about = {"filename": f"{name}.jsonl", "purpose": "batch", "status": "processed", "created_at": 0}
    return {"id": name, "object": "file", "bytes": len(data), **about}
