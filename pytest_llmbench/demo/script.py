"""What a scripted provider does with a request: answers, failures, and the small steps they are made of.

An `Answer` describes a well-behaved model and can be told to misbehave (`cut_after_events`, `stall_after_events`, ...).
What it cannot say is said in steps: `answer.steps(body)` gives a list to be edited, `Page(steps=...)` plays any list.
Both are in OpenAI's format; `anthropic_form` says the same in Anthropic's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.demo.steps import (
    Close,
    Event,
    Page,
    Raw,
    Reset,
    Step,
    Wait,
    first_bytes,
    first_events,
    utf8,
    whole_page,
)

ChatBody = Mapping[str, Any]
"""The JSON body of a chat request."""


_CLOSE = Close()


@dataclass(frozen=True)
class Failure:
    """An HTTP error in the form of the provider that was asked, or with any body."""

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
        return whole_page(body.encode(), self.status, self.content_type, self.headers, "error")


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
    tool_name: str = ""
    """Which function is called; where empty, events carry arguments alone, and whole replies no call."""
    ttft_s: float = 0.0
    itl_s: float = 0.0
    headers_after_s: float = 0.0
    role_event: bool = True
    """Begin with a role-only event, as most servers do: it carries no token."""
    progress_events: int = 0
    """Events about the prompt's progress (llama.cpp's `return_progress`) before the first token."""
    prompt_tokens: int | None = None
    """What `usage` tells, cached ones included; None: the words of the messages."""
    completion_tokens: int | None = None
    """What `usage` tells; None: one a piece. Differs from the pieces for emoji, CJK, speculative decoding."""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    usage: bool = True
    cost_usd: float | None = None
    """What `usage.cost` tells; None: nothing."""
    timings: Mapping[str, float] | None = None
    """llama.cpp's `timings` object in the last chunk."""
    served_model: str = ""
    """The model that it says it is; empty: the one that was asked for."""
    logprob: float | None = None
    """Of each piece of text, told where the request wants log-probabilities; None: they are not told."""
    finish_reason: str | None = "stop"
    done: bool = True
    """End with `data: [DONE]`, or with Anthropic's `message_stop`."""
    reasoning_field: str = "reasoning_content"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after_events: int | None = None
    cut_after_bytes: int | None = None
    cut: Close | Reset | None = _CLOSE
    """How the stream is cut: None ends it as HTTP asks, as if it were complete."""
    stall_after_events: int | None = None
    error_after_events: int | None = None
    error_message: str = "scripted error in the stream"

    def steps(self, body: ChatBody) -> list[Step]:
        """The stream's body, step by step, faults included."""
        error = {"error": {"message": self.error_message, "type": "server_error", "code": 500}}
        return self.broken(list(self._stream(body)), Event(error, "error"))

    def broken(self, steps: list[Step], error: Event) -> list[Step]:
        """The steps of a stream as far as they are to go, with what ends them there."""
        end = [] if self.cut is None else [self.cut]
        if self.cut_after_events is not None:
            steps = [*first_events(steps, self.cut_after_events), *end]
        if self.cut_after_bytes is not None:
            steps = [*first_bytes(steps, self.cut_after_bytes), *end]
        if self.stall_after_events is not None:
            steps = [*first_events(steps, self.stall_after_events), Wait(float("inf"))]
        if self.error_after_events is not None:
            steps = [*first_events(steps, self.error_after_events), error]
        return steps

    def page(self, body: ChatBody) -> Page:
        if body.get("stream"):
            return Page(self.steps(body), headers=self.headers, headers_after_s=self.headers_after_s)
        return self.whole_page(body, self._whole(body))

    def whole_page(self, body: ChatBody, whole: Mapping[str, Any]) -> Page:
        """The page of a reply in one piece, which comes when its last token would have come."""
        thinking = Wait(self.ttft_s + self.itl_s * max(0, len(self.said(body)) - 1))
        data = utf8(json.dumps(whole, ensure_ascii=False))
        steps: list[Step] = [thinking, Raw(data, "whole")]
        delay_s = self.headers_after_s
        return Page(steps, 200, "application/json", self.headers, headers_after_s=delay_s, content_length=len(data))

    def said(self, body: ChatBody) -> list[tuple[str, str]]:
        """Kind and text of every piece that goes out."""
        content = self.pieces or re.findall(r"\S+\s*", self.text)
        every = [("reasoning", piece) for piece in self.reasoning]
        every += [("content", piece) for piece in content]
        every += [("tool", piece) for piece in self.tool_arguments]
        return every[: body.get("max_tokens") or body.get("max_completion_tokens") or len(every)]

    def texts(self, body: ChatBody) -> dict[str, str]:
        """What goes out as `reasoning`, `content` and `tool`, each in one piece."""
        texts = {"reasoning": "", "content": "", "tool": ""}
        for kind, piece in self.said(body):
            texts[kind] += piece
        return texts

    def finish(self, body: ChatBody) -> str | None:
        """Why it ends, in OpenAI's word."""
        shortened = len(self.said(body)) < len(self.said({}))
        return "length" if shortened and self.finish_reason else self.finish_reason

    def counts(self, body: ChatBody) -> tuple[int, int, int]:
        """Prompt tokens (all), completion tokens (all), reasoning tokens."""
        said = self.said(body)
        completion = len(said) if self.completion_tokens is None else self.completion_tokens
        prompt = words_in(body) if self.prompt_tokens is None else self.prompt_tokens
        return prompt, completion, sum(kind == "reasoning" for kind, _ in said)

    def _stream(self, body: ChatBody) -> Iterator[Step]:
        for done in range(self.progress_events):
            progress = {"total": self.progress_events, "cache": 0, "processed": done}
            yield Event({**self._chunk(body, {"role": "assistant"}), "prompt_progress": progress}, "progress")
        if self.role_event:
            yield Event(self._chunk(body, {"role": "assistant", "content": None}), "role")
        begun = False
        for index, (kind, piece) in enumerate(self.said(body)):
            yield Wait(self.itl_s if index else self.ttft_s)
            delta = self._delta(kind, piece, begins=kind == "tool" and not begun)
            yield Event(self._chunk(body, delta, logprobs=self._logprobs(body, [piece])), kind)
            begun = begun or kind == "tool"
        if self.finish_reason is not None:
            yield Event({**self._chunk(body, {}, self.finish(body)), **self._timings()}, "finish")
        if self.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield Event({**self._chunk(body), "usage": self._usage(body), **self._timings()}, "usage")
        if self.done:
            yield Event("[DONE]", "done")

    def _delta(self, kind: str, piece: str, *, begins: bool) -> dict[str, Any]:
        if kind == "tool":
            named = {"id": "call_demo", "type": "function"} if begins and self.tool_name else {}
            function = {"name": self.tool_name, "arguments": piece} if named else {"arguments": piece}
            return {"tool_calls": [{"index": 0, **named, "function": function}]}
        return {self.reasoning_field if kind == "reasoning" else "content": piece}

    def _timings(self) -> dict[str, Any]:
        return {} if self.timings is None else {"timings": dict(self.timings)}

    def _usage(self, body: ChatBody) -> dict[str, Any]:
        prompt, completion, reasoning = self.counts(body)
        written = {"cache_write_tokens": self.cache_write_tokens} if self.cache_write_tokens else {}
        details = {"completion_tokens_details": {"reasoning_tokens": reasoning}} if reasoning else {}
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, **written},
            **details,
            **({} if self.cost_usd is None else {"cost": self.cost_usd}),
        }

    def _logprobs(self, body: ChatBody, pieces: Sequence[str]) -> dict[str, Any]:
        if self.logprob is None or not body.get("logprobs"):
            return {}
        return {"logprobs": {"content": [{"token": piece, "logprob": self.logprob} for piece in pieces]}}

    def _chunk(
        self,
        body: ChatBody,
        delta: Mapping[str, Any] | None = None,
        finish: str | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta or {}), "finish_reason": finish, **(logprobs or {})}
        model = self.served_model or body.get("model")
        named = {"id": "demo", "object": "chat.completion.chunk", "created": 0, "model": model}
        return {**named, "choices": [] if delta is None else [choice]}

    def _whole(self, body: ChatBody) -> dict[str, Any]:
        said = self.texts(body)
        message: dict[str, Any] = {"role": "assistant", "content": said["content"]}
        if said["reasoning"]:
            message[self.reasoning_field] = said["reasoning"]
        if self.tool_name:
            function = {"name": self.tool_name, "arguments": said["tool"]}
            message["tool_calls"] = [{"id": "call_demo", "type": "function", "function": function}]
        pieces = [piece for kind, piece in self.said(body) if kind == "content"]
        logprobs = self._logprobs(body, pieces)
        choice = {"index": 0, "message": message, "finish_reason": self.finish(body), **logprobs}
        usage = {"usage": self._usage(body)} if self.usage else {}
        model = self.served_model or body.get("model")
        named = {"id": "demo", "object": "chat.completion", "created": 0, "model": model}
        return {**named, "choices": [choice], **usage, **self._timings()}


Reaction = Answer | Failure | Page
"""What a script gives for one request."""

Script = Sequence[Reaction] | Callable[[ChatBody], Reaction]
"""One reaction a request, the last one for ever after; or a function of the request's body."""


def echo(body: ChatBody) -> Answer:
    """A deterministic answer that repeats the last message."""
    messages = body.get("messages") or [{}]
    return Answer(f"You said: {messages[-1].get('content')}")


def words_in(body: ChatBody) -> int:
    """The demo's tokens of a prompt: words of its messages, and of Anthropic's system prompt beside them."""
    told = [message.get("content") for message in body.get("messages") or ()]
    told += [body["system"]] if body.get("system") else []
    return sum(len(str(content).split()) for content in told)
