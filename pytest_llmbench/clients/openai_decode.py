"""From the events or the body of an OpenAI-compatible chat to text, counts and clock readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, ClassVar

from pytest_llmbench.clients.decoded import Decoded, finish_reason, is_number, member, numbers, objects
from pytest_llmbench.clients.openai_usage import usage_of
from pytest_llmbench.clients.refusals import error_in
from pytest_llmbench.records import Usage

_FAILED = "error"
"""OpenRouter's finish reason of an answer whose provider broke off."""


@dataclass(slots=True)
class OpenAIDecoded(Decoded):
    """What a chat completion said, as far as it came."""

    unanswered: ClassVar[str] = "an answer without choices"
    logprobs: list[float] = field(default_factory=list)
    """Of the tokens of the answer, where they were told."""

    def _add(self, payload: Mapping[str, Any], arrived_at: float | None) -> None:
        self.error = error_in(payload)
        self.served_model = member(payload, "model", str) or self.served_model
        if "usage" in payload or "x_groq" in payload:
            self.usage = _usage(payload) or self.usage
        if "timings" in payload:
            self.timings = numbers(member(payload, "timings", dict)) or self.timings
        for choice in _first_choice(payload):
            self.answered = True
            if told := choice.get("logprobs"):
                self._weigh(told)
            self._generated(*self._texts(_delta(choice)), arrived_at)
            if reason := member(choice, "finish_reason", str):
                self._finish(reason, choice)
        self.ended = self.ended or bool(self.finish_reason)

    def _weigh(self, told: Any) -> None:
        """Note how likely the tokens of an answer were; what is no number is left out."""
        tokens = told.get("content") if isinstance(told, Mapping) else None
        for token in tokens if isinstance(tokens, list) else ():
            value = token.get("logprob") if isinstance(token, Mapping) else None
            if value is not None and is_number(value):
                self.logprobs.append(float(value))

    def _finish(self, reason: str, choice: Mapping[str, Any]) -> None:
        self.finish_reason = finish_reason(reason)
        if self.finish_reason == _FAILED and self.error is None:
            self.error = error_in(choice) or {"message": "the answer broke off (finish reason 'error')"}

    def _texts(self, delta: Mapping[str, Any]) -> tuple[str, str, str]:
        """Content, reasoning and tool-call arguments of one event."""
        content = delta.get("content")
        if len(delta) == 1 and isinstance(content, str):  # nearly all events are of this form
            return content, "", ""
        text, thought = _parts(delta) if isinstance(content, list) else (member(delta, "content", str) or "", "")
        text += member(delta, "refusal", str) or ""
        thought += member(delta, "reasoning_content", str) or member(delta, "reasoning", str) or ""
        return text, thought, self._calls(delta)

    def _calls(self, delta: Mapping[str, Any]) -> str:
        """Take in the tool calls of one event; returns their arguments."""
        said = ""
        for call in objects(delta, "tool_calls"):
            function = member(call, "function", dict) or member(call, "custom", dict) or {}
            said += self._call(member(call, "index", int), member(call, "id", str) or "", function)
        if single := member(delta, "function_call", dict):  # as it was before there were several
            said += self._call(None, "", single)
        return said

    def _call(self, index: int | None, id_: str, function: Mapping[str, Any]) -> str:
        arguments = member(function, "arguments", str) or member(function, "input", str) or ""
        self.tool_calls.add_delta(index, id_, member(function, "name", str) or "", arguments)
        return arguments

    def tokens(self) -> Usage:
        found = usage_of(self.usage, self.timings)
        return replace(found, mean_logprob=fmean(self.logprobs)) if self.logprobs else found


def _usage(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Groq puts the usage of a stream into an object of its own."""
    told = member(payload, "usage", dict)
    return told or member(member(payload, "x_groq", dict) or {}, "usage", dict)


def _first_choice(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [choice for choice in objects(payload, "choices") if choice.get("index", 0) == 0][:1]


def _delta(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    return member(choice, "delta", dict) or member(choice, "message", dict) or {}


def _parts(delta: Mapping[str, Any]) -> tuple[str, str]:
    """Text and reasoning of content in parts, as Mistral's reasoning models send it."""
    text = thought = ""
    for part in objects(delta, "content"):
        text += member(part, "text", str) or ""
        for piece in objects(part, "thinking"):
            thought += member(piece, "text", str) or ""
    return text, thought
