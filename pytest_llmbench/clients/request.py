"""What is asked, and where: free of any wire format."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Record
from pytest_llmbench.secret import NO_KEY, Secret

Message = Mapping[str, Any]
"""One message of a conversation: `{"role": "user", "content": "..."}`."""

_OURS = frozenset({"model", "messages", "max_tokens", "temperature", "seed", "stream", "stream_options"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is asked."""

    base_url: str
    """Without /v1, as `http://127.0.0.1:8080`; a trailing slash or /v1 is read over."""
    api_key: Secret = NO_KEY
    model_id: str
    """What the server calls the model."""
    name: str
    """What users call it."""
    format: str = "openai"
    """The wire format: a key of `formats.FORMATS`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; no secrets."""

    def url(self, path: str) -> str:
        """The URL of `path`, which begins with /v1."""
        return self.base_url.rstrip("/").removesuffix("/v1") + path


@dataclass(frozen=True, slots=True)
class ChatRequest(Record):
    """One question: everything that decides the answer, and nothing about how it is transported.

    Raises:
        UsageError: `extra` names a field that has a parameter of its own, or is no JSON.
    """

    model: str
    """As users name it."""
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float = 0.0
    seed: int | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the body (`cache_prompt`, `ignore_eos`, `response_format`, ...)."""

    def __post_init__(self) -> None:
        if taken := sorted(_OURS & self.extra.keys()):
            raise UsageError(f"{taken[0]!r} cannot be given among the extra fields of a request: it is set by us")
        try:
            self._canonical()
        except (TypeError, ValueError) as error:
            raise UsageError(f"a request to {self.model} cannot be written as JSON: {error}") from error

    def hash(self) -> str:
        """sha256 over all fields: two requests with the same hash are the same question."""
        return hashlib.sha256(self._canonical().encode()).hexdigest()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "messages": tuple(data["messages"])})

    def _canonical(self) -> str:
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
