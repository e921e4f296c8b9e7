"""Trying out what a model takes, where nobody tells: one tiny request a feature, once, remembered.

Only what a request makes use of is tried, and only where a refusal would change what is asked: a temperature or a
system message that a model refuses makes its first answer an error that says so. A probe goes through the asker like
any other question: it keeps to limits and budget, and is billed to the run, with the role `probe`.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.asker.fitting import needs
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.providers.capabilities import Findings
from pytest_llmbench.records import Capabilities, Reply, Target

MAX_TOKENS = 16
"""The fewest that all providers accept."""
ROLE = "probe"
TEST_KEY = "capabilities of models"
"""Under which the replies to probes are stored: they belong to no test."""
TRIED = frozenset({"images", "audio", "tools", "json_schema", "seed", "logprobs", "reasoning"})

Ask = Callable[[Question], Reply]


class Probes:
    """Finds out what models take; usable from several threads.

    Args:
        ask: asks a question and waits, as `Asker.get`.
        findings: what was found out before.
    """

    def __init__(self, ask: Ask, findings: Findings | None = None) -> None:
        self._ask = ask
        self._findings = findings or Findings()
        self._unclear: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, ...], Target] = {}
        self._lock = threading.Lock()

    def known(self, target: Target, request: ChatRequest) -> Target:
        """The target with what the request needs to be known of it; blocks while a probe is under way.

        Raises:
            OverBudgetError: a probe does not fit into the budget.
        """
        if target.is_local:
            return target  # its refusal costs nothing, and what listens at a port changes
        missing = [name for name in needs(request) & TRIED if getattr(target.capabilities, name) is None]
        if not missing:
            return target
        place = (target.name, *sorted(missing))
        with self._lock:
            if place not in self._known:
                for feature in place[1:]:
                    self._find_out(target, feature)
                capabilities = self._findings.laid_below(target.capabilities, target)
                self._known[place] = dataclasses.replace(target, capabilities=capabilities)
            return self._known[place]

    def _find_out(self, target: Target, feature: str) -> None:
        if feature in self._findings.of(target) or (target.name, feature) in self._unclear:
            return
        takes = self._accepts(target, feature)
        if takes is False and not self._accepts(target, ""):
            takes = None  # a refusal counts only where the same request without the feature is accepted
        if takes is None:
            self._unclear.add((target.name, feature))
        else:
            self._findings.add(target, feature, takes=takes)

    def _accepts(self, target: Target, feature: str) -> bool | None:
        """Whether a tiny request with the feature is answered; None where it failed for a reason that tells nothing."""
        request = _request(target, _PROBES.get(feature, {}))
        place = hashlib.sha256(f"{target.base_url}\n{target.model_id}\n{request.hash()}".encode()).hexdigest()
        try:
            self._ask(Question(_trusting(target, feature), request, TEST_KEY, place, role=ROLE))
        except InfraError as error:
            return False if error.category is Category.INVALID_REQUEST else None
        return True


def _request(target: Target, fields: Mapping[str, Any]) -> ChatRequest:
    content = fields.get("content", "Say ok.")
    seed = fields.get("seed")
    extra = {name: value for name, value in fields.items() if name not in {"content", "seed"}}
    messages = ({"role": "user", "content": content},)
    return ChatRequest(target.name, messages, MAX_TOKENS, temperature=None, seed=seed, stream=False, extra=extra)


def _trusting(target: Target, feature: str) -> Target:
    """The target as if it took the feature, so that the probe is sent as it is."""
    said = Capabilities.from_dict({feature: True, "source": ROLE} if feature else {})
    return dataclasses.replace(target, capabilities=said)


def _picture() -> str:
    """A grey PNG of 64 × 64 pixels, as a data URL: smaller ones are refused by some."""
    rows = zlib.compress((b"\x00" + b"\x80" * 64) * 64, 9)
    chunks = ((b"IHDR", struct.pack(">2I5B", 64, 64, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _sound() -> str:
    """A quarter of a second of silence as WAV in base64."""
    data = bytes(4000)
    head = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 4000
    )
    return base64.b64encode(head + data).decode()


_TEXT = {"type": "text", "text": "Say ok."}
_OBJECT = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
_PROBES: Mapping[str, Mapping[str, Any]] = {
    "images": {"content": [_TEXT, {"type": "image_url", "image_url": {"url": _picture(), "detail": "low"}}]},
    "audio": {"content": [_TEXT, {"type": "input_audio", "input_audio": {"data": _sound(), "format": "wav"}}]},
    "tools": {
        "tools": [{"type": "function", "function": {"name": "ok", "description": "Says ok.", "parameters": _OBJECT}}]
    },
    "json_schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "ok", "strict": True, "schema": _OBJECT}}
    },
    "seed": {"seed": 1},
    "logprobs": {"logprobs": True, "top_logprobs": 1},
    "reasoning": {"reasoning_effort": "low"},
}
