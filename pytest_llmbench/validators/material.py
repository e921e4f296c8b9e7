"""What a validator looks at: a reply, what was asked, and what was expected."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pytest_llmbench.records import Reply, Sample
from pytest_llmbench.validators.reply_text import without_reasoning

NOTHING_EXPECTED = "the sample has no expected answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that one reply can be held against."""

    reply_text: str = ""
    """As the model sent it."""
    expected: Any = None
    """The sample's expected answer; None where it has none."""
    input_text: str = ""
    """What the user asked, as text."""
    source: str = ""
    """The document that the reply must stay within."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The sample's other columns."""
    reply: Reply | None = None
    """With times, cost, finish reason and tool calls; None where the text is all there is."""
    folder: Path | None = None
    """The use case's; files that validators name stand in it."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema of the use case's output."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What columns mean: field → column."""
    sample: Sample | None = None
    may_execute: bool = False
    """Whether the person who runs this allowed model-written code to be run (`--allow-execute`)."""
    answer: str = field(init=False, compare=False, repr=False)
    """The reply without its reasoning and the space around it: what most validators score."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer", without_reasoning(self.reply_text).strip())

    @classmethod
    def of(cls, sample: Sample, reply: Reply | str = "", *, source: str | None = None, **more: Any) -> Self:
        """The material of a sample and its reply.

        Args:
            sample: what was asked.
            reply: what came back, or only its text.
            source: the document to stay within; what the user asked where not given.
            **more: `folder`, `schema`, `labels`, `may_execute`.
        """
        asked = rendered(sample.input)
        return cls(
            reply_text=reply if isinstance(reply, str) else reply.text,
            reply=None if isinstance(reply, str) else reply,
            expected=sample.expected,
            input_text=asked,
            source=asked if source is None else source,
            metadata=sample.metadata,
            sample=sample,
            **more,
        )

    def with_reply(self, text: str) -> Self:
        """The same with another text for a reply, as when the expected answer itself is put to the test."""
        return dataclasses.replace(self, reply_text=text, reply=None)

    @property
    def wanted(self) -> str:
        """The expected answer as text: JSON where it is none."""
        return as_text(self.expected)


def as_text(value: Any) -> str:
    """A text as it is; anything else as JSON; nothing as an empty text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def rendered(asked: Any) -> str:
    """What a sample asks as text: of a conversation, what its user said; of message parts, the texts."""
    if isinstance(asked, str):
        return asked
    said = (message.get("content") for message in asked if message.get("role", "user") == "user")
    return "\n\n".join(filter(None, map(_text_of, said)))


def _text_of(content: Any) -> str:
    if isinstance(content, list | tuple):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return "" if content is None else str(content)
