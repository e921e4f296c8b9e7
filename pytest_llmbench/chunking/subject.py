"""Which text of a sample is the large one, and the sample with another in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.records import Sample

Messages = Callable[[Sample], Sequence[Message]]
"""What a sample is asked as: a prompt for one model."""

INPUT = "input"
BLANK = "…"
"""Stands for a text that is left out: prompts refuse an empty one."""


def variable_of(sample: Sample, wanted: str, messages: Messages) -> str:
    """Which variable of the prompt is cut.

    Args:
        sample: one that is too long.
        wanted: what is declared; empty: the longest text that the prompt makes use of.
        messages: what a sample is asked as.

    Raises:
        UsageError: there is no such variable, or none that holds a text.
    """
    texts = {INPUT: _input_text(sample)} | {k: v for k, v in sample.metadata.items() if isinstance(v, str)}
    if wanted:
        if not texts.get(wanted):
            known = ", ".join(name for name, text in texts.items() if text)
            raise UsageError(
                f"the sample {sample.id!r} has no text {wanted!r} to be cut{did_you_mean(wanted, texts)}",
                hint=f"`chunking: variable` may name {known or 'nothing here'}",
            )
        return wanted
    whole = _length(messages(sample))
    for name in sorted(texts, key=lambda name: len(texts[name]), reverse=True):
        saved = whole - _length(messages(with_text(sample, name, BLANK))) if texts[name] else 0
        if 2 * saved >= len(texts[name]) > 0:
            return name
    raise UsageError(f"the sample {sample.id!r} is too long, and holds no text that could be cut")


def text_of(sample: Sample, variable: str) -> str:
    """The text that is cut."""
    return _input_text(sample) if variable == INPUT else str(sample.metadata[variable])


def with_text(sample: Sample, variable: str, text: str) -> Sample:
    """The sample with another text in place of that; its id stays, so that it is never its own example."""
    if variable != INPUT:
        return dataclasses.replace(sample, metadata={**sample.metadata, variable: text})
    if isinstance(sample.input, str):
        return dataclasses.replace(sample, input=text)
    at = _longest(sample.input)
    said = list(sample.input)
    said[at] = {**said[at], "content": _with_content(said[at].get("content"), text)}
    return dataclasses.replace(sample, input=said)


def _input_text(sample: Sample) -> str:
    if isinstance(sample.input, str):
        return sample.input
    return _content_text(sample.input[_longest(sample.input)].get("content")) if sample.input else ""


def _longest(messages: Sequence[Mapping[str, Any]]) -> int:
    return max(range(len(messages)), key=lambda at: len(_content_text(messages[at].get("content"))))


def _content_text(content: Any) -> str:
    """The longest text of a message."""
    texts = [content] if isinstance(content, str) else [_part_text(part) for part in content or ()]
    return max(texts, key=len, default="")


def _with_content(content: Any, text: str) -> Any:
    if isinstance(content, str):
        return text
    at = max(range(len(content)), key=lambda index: len(_part_text(content[index])))
    return [{**part, "text": text} if index == at else part for index, part in enumerate(content)]


def _part_text(part: Any) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    return text if isinstance(text, str) else ""


def _length(messages: Sequence[Message]) -> int:
    total = 0
    for message in messages:
        content = message.get("content")
        total += len(content) if isinstance(content, str) else sum(len(_part_text(part)) for part in content or ())
    return total
