"""Replies to a question that was asked in other words: for chat only, and only where somebody wants it.

Two questions are alike where everything else of them is the same (model, account, settings, system prompt, all that was
said before), their vectors are near each other, and no guard finds a difference; `guards.py` says why nearness alone
would not do. What was asked of one kind lies in one entry of the cache beside the replies, so that whatever holds for
those (age, size, a signature, clearing) holds for it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pytest_llmbench import embeddings
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.entries import decoded
from pytest_llmbench.cache.guards import differences
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.extras import from_extra
from pytest_llmbench.records import QUESTIONS, Alike, CacheEntry, Reply
from pytest_llmbench.records.cached import QUESTIONS_KEY
from pytest_llmbench.redaction import redact_exact

CHAT = "chat"
"""Never what is under test, and of judges only the very same: see `alike_of`."""

_LONGEST = 2000
"""Characters of a prompt that is compared; one that does not fit the embedder's window is not, either."""
_MOST = 100
"""Prompts of one kind that are remembered, the newest."""
_HASH_BYTES = 32
_VECTOR_BYTES = 2 * embeddings.DIMENSIONS


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was said last, and what everything else has to be the same as."""

    scope: str
    """64 hexadecimal digits."""
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that was answered."""

    text: str
    key: str
    """Of its reply in the cache."""
    at: str
    """When it was answered; ISO 8601, UTC."""
    vector: str
    """Base 64 of 16-bit floating-point numbers."""


def said_last(request: ChatRequest) -> tuple[str, ChatRequest] | None:
    """What the user said last, and the request without it; None where that is not a short text."""
    if not request.messages:
        return None
    *before, last = request.messages
    text = last.get("content")
    if last.get("role") != "user" or not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST:
        return None
    return text, dataclasses.replace(request, messages=(*before, {**last, "content": ""}))


class Likeness:
    """Finds replies to questions alike; belongs to the cache's thread.

    Args:
        backend: where replies and questions lie.
        threshold: the cosine that two prompts must reach, at least.
        ttl_s: how old a reply may be.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
    """

    def __init__(self, backend: Backend, *, threshold: float, ttl_s: float) -> None:
        embeddings.check_installed()
        self._backend = backend
        self._threshold = threshold
        self._ttl_s = ttl_s

    def find(self, prompt: Prompt, now: datetime) -> Reply | None:
        """The reply to a question alike, marked as one.

        Args:
            prompt: what is asked now.
            now: the time, aware.

        Raises:
            CacheError: the place cannot be reached or read.
        """
        vector = _vector(prompt.text)
        if vector is None:
            return None
        for nearness, asked in _nearest(vector, self._known(prompt.scope)):
            if not nearness >= self._threshold:  # what is no number is not near
                return None
            if not differences(prompt.text, asked.text) and (reply := self._reply(asked, now)):
                return _marked(reply, asked, nearness)
        return None

    def entries(self, answered: Sequence[tuple[Prompt, str, datetime]]) -> list[CacheEntry]:
        """What is to be put so that these are found from now on, one entry a scope.

        Args:
            answered: prompt, the key of its reply, and when it came.

        Raises:
            CacheError: the place cannot be reached or read.
        """
        scopes: dict[str, list[Asked]] = {}
        for prompt, key, at in answered:
            vector = _vector(prompt.text)
            if vector is not None:
                known = scopes[prompt.scope] if prompt.scope in scopes else self._young(prompt.scope, at)
                asked = Asked(redact_exact(prompt.text), key, at.isoformat(), _packed(vector))
                scopes[prompt.scope] = [asked, *(each for each in known if each.key != key)][:_MOST]
        return [CacheEntry(_key(scope), _encoded(scope, asked), QUESTIONS) for scope, asked in scopes.items()]

    def _young(self, scope: str, now: datetime) -> list[Asked]:
        oldest = (now - timedelta(seconds=self._ttl_s)).isoformat()
        return [each for each in self._known(scope) if each.at >= oldest]

    def _known(self, scope: str) -> list[Asked]:
        key = _key(scope)
        value = self._backend.get([key]).get(key)
        return [] if value is None else _decoded(scope, value)

    def _reply(self, asked: Asked, now: datetime) -> Reply | None:
        value = self._backend.get([asked.key]).get(asked.key)
        return None if value is None else decoded(asked.key, value, ttl_s=self._ttl_s, now=now)


def alike_of(parts: Mapping[str, str], reply: str) -> str:
    """What a judge is asked, for which one verdict may do: the same of everything, and a reply that reads the same.

    Nothing that anybody could see may differ, case, marks and layout included, for a rubric may be about those: only
    how letters with accents and ends of lines are encoded, and space around the whole.

    Args:
        parts: all that decides a verdict beside the reply: rubric, way of asking, question, source, expected answer.
        reply: what is judged.
    """
    told = json.dumps([dict(parts), same_to_read(reply)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def same_to_read(text: str) -> str:
    """A reply in the one form that all texts have that look the same."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").removeprefix("\ufeff")).strip()


def _marked(reply: Reply, asked: Asked, nearness: float) -> Reply:
    cost = dataclasses.replace(reply.cost, source="alike")
    return dataclasses.replace(reply, cost=cost, alike=Alike(asked.text, round(nearness, 4)))


def _key(scope: str) -> str:
    return QUESTIONS_KEY + hashlib.sha256(f"questions alike {scope}".encode()).hexdigest()


def _vector(text: str) -> Any:
    """Of a prompt; None where it is too long to be seen at once."""
    ready = text.encode("utf-8", "replace").decode()
    return embeddings.embedded(ready) if embeddings.fits_a_window(ready) else None


def _nearest(vector: Any, known: Sequence[Asked]) -> Iterator[tuple[float, Asked]]:
    """What was asked, the nearest first."""
    found = [(float(_unpacked(asked.vector) @ vector), asked) for asked in known]
    yield from sorted(found, key=lambda each: -each[0])


def _packed(vector: Any) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def _unpacked(packed: str) -> Any:
    numpy = from_extra("numpy", "embeddings")
    vector = numpy.frombuffer(base64.b64decode(packed), "<f2").astype("float32")
    return vector / max(float(numpy.linalg.norm(vector)), 1e-12)


def _encoded(scope: str, asked: Iterable[Asked]) -> bytes:
    told = {"scope": scope, "embedder": embeddings.EMBEDDER, "asked": [dataclasses.astuple(each) for each in asked]}
    body = json.dumps(told, separators=(",", ":")).encode()
    return hashlib.sha256(body).digest() + body


def _decoded(scope: str, value: bytes) -> list[Asked]:
    """What was asked; nothing where it is not whole, or was made with another embedder."""
    body = value[_HASH_BYTES:]
    if hashlib.sha256(body).digest() != value[:_HASH_BYTES]:
        return []
    try:
        told = json.loads(body)
        if told["scope"] != scope or told["embedder"] != embeddings.EMBEDDER:
            return []
        asked = [Asked(*map(str, each)) for each in told["asked"]]
        return asked if all(len(base64.b64decode(each.vector)) == _VECTOR_BYTES for each in asked) else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
