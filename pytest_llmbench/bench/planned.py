"""The words in which a profile says what it wants timed, and what it found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.request import Message
from pytest_llmbench.records import Label, Repetition, Reply, Table

TEXT_LABELS = frozenset({"extracted", "reason"})
"""Labels that hold pieces of a reply: not stored where texts are not kept."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One request that a profile wants timed."""

    index: int
    """Unique in the measurement, and the same on a resume."""
    round: int
    prompt: str | tuple[Message, ...]
    output_tokens: int
    """Tokens generated: exactly so many where the server allows it, at most so many where `natural`."""
    labels: Mapping[str, Label] = field(default_factory=dict)
    due_s: float | None = None
    """Open loop: the intended start, in seconds after the load's."""
    fresh: bool = True
    """Whether a prefix that no cache knows is put before the prompt."""
    natural: bool = False
    """Whether the model ends by itself: where the text matters, not the speed."""
    cached_ok: bool = False
    """Whether a prompt may come from a cache; times of such a prompt mean nothing."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request's body."""
    patience_s: float = 0.0
    """How long its first token may take, where that is longer than the session's deadline: a long prompt's does."""

    @property
    def text(self) -> str:
        """The prompt as one text: of a conversation, its contents."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n\n".join(str(message.get("content", "")) for message in self.prompt)


@dataclass(frozen=True, slots=True)
class Timed:
    """One request that was timed."""

    repetition: Repetition
    request: ChatRequest
    reply: Reply | None
    """None where it failed in a tolerant load; `repetition.labels["error"]` is the category."""

    def scored(self, *, labels: Mapping[str, Label] | None = None, **metrics: float) -> Self:
        """The same with further metrics and labels, as the profile reads them off the reply."""
        repetition = dataclasses.replace(
            self.repetition,
            metrics={**self.repetition.metrics, **metrics},
            labels={**self.repetition.labels, **(labels or {})},
        )
        return dataclasses.replace(self, repetition=repetition)


@dataclass(frozen=True, slots=True)
class Load:
    """Base of each profile's choices: how much of what is sent. A subclass checks them in `__post_init__`."""

    texts: ClassVar[frozenset[str]] = frozenset({"prompts"})
    """Fields that hold users' texts: stored as hashes where texts are not kept."""

    def settings(self) -> dict[str, Any]:
        """What makes two loads the same load; builtin types only."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a profile reads off its repetitions."""

    sentence: str = ""
    """In words, with the numbers and n; without the grade."""
    scalars: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the whole measurement; each has a row in `metrics.METRICS`."""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
