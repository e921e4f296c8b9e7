"""What a scripted provider does with a request: answers, failures, and the small steps they are made of.

An `Answer` describes a well-behaved model and can be told to misbehave (`cut_after_events`, `stall_after_events`, ...).
What it cannot say is said in steps: `answer.steps(body)` gives a list to be edited, `Page(steps=...)` plays any list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ChatBody = Mapping[str, Any]
"""The JSON body of a chat request."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while; `inf` is a stall that only the end of the connection ends."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """Send one server-sent event."""

    payload: Mapping[str, Any] | str
    kind: str
    """For the log: `role`, `progress`, `content`, `reasoning`, `tool`, `finish`, `usage`, `done`, `error`."""

    @property
    def data(self) -> bytes:
        text = self.payload if isinstance(self.payload, str) else json.dumps(self.payload, ensure_ascii=False)
        return b"data: " + _utf8(text) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Raw:
    """Send these very bytes."""

    data: bytes
    kind: str = "raw"


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection here, without the end that HTTP asks for."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST)."""


Step = Wait | Event | Raw | Close | Reset


@dataclass(frozen=True)
class Page:
    """A raw HTTP response: status, headers, and the steps that make its body."""

    steps: Sequence[Step]
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = True
    """False: neither Content-Length nor chunks; the connection's end is the body's end."""
    headers_after_s: float = 0.0


@dataclass(frozen=True)
class Failure:
    """An HTTP error in OpenAI's form, or with any body."""

    status: int
    """May be 200: some gateways report errors so."""
    message: str = "scripted failure"
    code: str | int | None = None
    type: str = "invalid_request_error"
    body: str | None = None
    """Instead of the JSON made from the fields above."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def page(self) -> Page:
        error = {"message": self.message, "type": self.type, "code": self.code}
        body = json.dumps({"error": error}) if self.body is None else self.body
        return Page([Raw(body.encode(), "error")], self.status, self.content_type, self.headers)


@dataclass(frozen=True)
class Answer:
    """What a well-behaved model answers, with set timing; and the ways in which it may break off.

    The n-th piece of text goes out `ttft_s + n * itl_s` after the request came (reasoning first, then text, then
    tool-call arguments). Without `pieces` the text is cut into words. `max_tokens` of the request is obeyed.
    """

    text: str = "Hello from the demo provider."
    pieces: Sequence[str] = ()
    """What each event carries, where `text` is not to be cut at words."""
    reasoning: Sequence[str] = ()
    tool_arguments: Sequence[str] = ()
    ttft_s: float = 0.0
    itl_s: float = 0.0
    headers_after_s: float = 0.0
    role_event: bool = True
    """Begin with a role-only event, as most servers do: it carries no token."""
    progress_events: int = 0
    """Events about the prompt's progress (llama.cpp's `return_progress`) before the first token."""
    completion_tokens: int | None = None
    """What `usage` tells; None: one a piece. Differs from the pieces for emoji, CJK, speculative decoding."""
    cached_tokens: int = 0
    usage: bool = True
    timings: Mapping[str, float] | None = None
    """llama.cpp's `timings` object in the last chunk."""
    finish_reason: str | None = "stop"
    done: bool = True
    """End with `data: [DONE]`."""
    reasoning_field: str = "reasoning_content"
    cut_after_events: int | None = None
    cut_after_bytes: int | None = None
    cut: Close | Reset | None = Close()
    """How the stream is cut: None ends it as HTTP asks, as if it were complete."""
    stall_after_events: int | None = None
    error_after_events: int | None = None
    error_message: str = "scripted error in the stream"

    def steps(self, body: ChatBody) -> list[Step]:
        """The stream's body, step by step, faults included."""
        steps = list(self._stream(body))
        end = [] if self.cut is None else [self.cut]
        if self.cut_after_events is not None:
            steps = [*_first_events(steps, self.cut_after_events), *end]
        if self.cut_after_bytes is not None:
            steps = [*_first_bytes(steps, self.cut_after_bytes), *end]
        if self.stall_after_events is not None:
            steps = [*_first_events(steps, self.stall_after_events), Wait(float("inf"))]
        if self.error_after_events is not None:
            error = {"error": {"message": self.error_message, "type": "server_error", "code": 500}}
            steps = [*_first_events(steps, self.error_after_events), Event(error, "error")]
        return steps

    def page(self, body: ChatBody) -> Page:
        if body.get("stream"):
            return Page(self.steps(body), headers_after_s=self.headers_after_s)
        pieces = self._pieces(body)
        thinking = Wait(self.ttft_s + self.itl_s * max(0, len(pieces) - 1))
        whole = Raw(self._whole(body), "whole")
        return Page([thinking, whole], content_type="application/json", headers_after_s=self.headers_after_s)

    def _pieces(self, body: ChatBody) -> list[tuple[str, str]]:
        content = self.pieces or re.findall(r"\S+\s*", self.text)
        every = [("reasoning", piece) for piece in self.reasoning]
        every += [("content", piece) for piece in content]
        every += [("tool", piece) for piece in self.tool_arguments]
        return every[: body.get("max_tokens") or len(every)]

    def _stream(self, body: ChatBody) -> Iterator[Step]:
        for done in range(self.progress_events):
            progress = {"total": self.progress_events, "cache": 0, "processed": done}
            yield Event({**_chunk(body, {"role": "assistant"}), "prompt_progress": progress}, "progress")
        if self.role_event:
            yield Event(_chunk(body, {"role": "assistant", "content": None}), "role")
        for index, (kind, piece) in enumerate(self._pieces(body)):
            yield Wait(self.itl_s if index else self.ttft_s)
            yield Event(_chunk(body, self._delta(kind, piece)), kind)
        if self.finish_reason is not None:
            yield Event({**_chunk(body, {}, self._finish(body)), **self._timings()}, "finish")
        if self.usage and body.get("stream_options", {}).get("include_usage"):
            yield Event({**_chunk(body), "usage": self._usage(body), **self._timings()}, "usage")
        if self.done:
            yield Event("[DONE]", "done")

    def _delta(self, kind: str, piece: str) -> dict[str, Any]:
        if kind == "tool":
            return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        return {self.reasoning_field if kind == "reasoning" else "content": piece}

    def _finish(self, body: ChatBody) -> str | None:
        shortened = len(self._pieces(body)) < len(self._pieces({}))
        return "length" if shortened and self.finish_reason else self.finish_reason

    def _timings(self) -> dict[str, Any]:
        return {} if self.timings is None else {"timings": dict(self.timings)}

    def _usage(self, body: ChatBody) -> dict[str, Any]:
        completion = len(self._pieces(body)) if self.completion_tokens is None else self.completion_tokens
        prompt = sum(len(str(message.get("content")).split()) for message in body.get("messages", ()))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }

    def _whole(self, body: ChatBody) -> bytes:
        said: dict[str, str] = {"reasoning": "", "content": "", "tool": ""}
        for kind, piece in self._pieces(body):
            said[kind] += piece
        message: dict[str, Any] = {"role": "assistant", "content": said["content"]}
        if said["reasoning"]:
            message[self.reasoning_field] = said["reasoning"]
        choice = {"index": 0, "message": message, "finish_reason": self._finish(body)}
        usage = {"usage": self._usage(body)} if self.usage else {}
        whole = {"object": "chat.completion", "model": body.get("model"), "choices": [choice], **usage}
        return _utf8(json.dumps({**whole, **self._timings()}, ensure_ascii=False))


Reaction = Answer | Failure | Page
"""What a script gives for one request."""

Script = Sequence[Reaction] | Callable[[ChatBody], Reaction]
"""One reaction a request, the last one for ever after; or a function of the request's body."""


def echo(body: ChatBody) -> Answer:
    """The default script: a deterministic answer that repeats the last message."""
    messages = body.get("messages") or [{}]
    return Answer(f"You said: {messages[-1].get('content')}")


def _chunk(body: ChatBody, delta: Mapping[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": dict(delta), "finish_reason": finish}]
    return {"id": "demo", "object": "chat.completion.chunk", "model": body.get("model"), "choices": choices}


def _utf8(text: str) -> bytes:
    """Half a surrogate pair, which UTF-8 cannot carry, goes out as its JSON escape: some servers cut emoji so."""
    return text.encode("utf-8", "backslashreplace")


def _first_events(steps: Sequence[Step], count: int) -> list[Step]:
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Event):
            if count == 0:
                break
            count -= 1
        kept.append(step)
    return kept


def _first_bytes(steps: Sequence[Step], count: int) -> list[Step]:
    kept: list[Step] = []
    for step in steps:
        data = step.data if isinstance(step, Event | Raw) else b""
        if len(data) > count:
            return [*kept, Raw(data[:count], "cut")]
        kept.append(step)
        count -= len(data)
    return kept
