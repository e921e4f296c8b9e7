"""What is asked, and where: free of any wire format."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Record, Target
from pytest_llmbench.records.asked import LOCAL_URLS
from pytest_llmbench.secret import NO_KEY, Secret

Message = Mapping[str, Any]
"""One message of a conversation: `{"role": "user", "content": "..."}`."""
OnHeaders = Callable[[int, Mapping[str, str]], None]
"""Told the status and the headers of a response, names in lower case, the moment they have come."""

_VERSIONED = re.compile(r"/v\d\w*(/openai)?$")

_OURS = frozenset({"model", "messages", "max_tokens", "temperature", "seed", "stream", "stream_options"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is asked."""

    base_url: str
    """As `http://127.0.0.1:8080`, with or without the version that its paths begin with, see `url`."""
    api_key: Secret = NO_KEY
    model_id: str
    """What the server calls the model."""
    name: str
    """What users call it."""
    format: str = "openai"
    """The wire format: a key of `formats.FORMATS`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; no secrets."""
    max_output_tokens: int | None = None
    """The most that the model writes, where known: asked for where a format wants a number and the request has none."""

    @classmethod
    def of(cls, target: Target, api_key: Secret = NO_KEY) -> Self:
        """Where a remote model is asked."""
        return cls(
            base_url=target.base_url,
            api_key=api_key,
            model_id=target.model_id,
            name=target.name,
            format=target.format,
            headers=target.headers,
            max_output_tokens=target.max_output_tokens,
        )

    @property
    def is_local(self) -> bool:
        """Whether it is asked on this machine."""
        return self.base_url.startswith(LOCAL_URLS)

    def url(self, path: str) -> str:
        """The URL of `path`.

        Args:
            path: one that begins with /v1/ follows a base URL that names a version (`/v1`, `/v1beta/openai`,
                `/api/paas/v4`) without its own; any other stands beside that version.
        """
        base, mark, query = self.base_url.partition("?")
        base = base.rstrip("/")
        if path.startswith("/v1/") and _VERSIONED.search(base):
            path = path.removeprefix("/v1")
        else:
            base = base.removesuffix("/v1")
        return base + path + mark + query


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
    temperature: float | None = 0.0
    """None: the model does not take one."""
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


def told_of(request: ChatRequest) -> dict[str, Any]:
    """What of a request stands in a call that others look on at, by the names of its fields."""
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stream": request.stream,
        "messages": request.messages,
        "extra": request.extra,
    }
