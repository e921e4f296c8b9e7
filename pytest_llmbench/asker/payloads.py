"""Requests that fail wherever they are sent: what was asked is at fault then, not who was asked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import defaultdict

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import Category, InfraError

SAME = 3
"""So often in a row the same failure of one request."""

TARGETS = 2
"""On so many targets failing alike, a request is at fault."""

_ID = re.compile(r"\b(?=\w*\d)\w{6,}\b|\d+")
"""What differs from one message to the next though they say the same: ids of requests, times, counts."""

Shape = tuple[Category, int | None, str]


class Payloads:
    """Which requests are blamed for their failures, of all lines of an asker."""

    def __init__(self) -> None:
        self._blamed: defaultdict[str, dict[str, Shape]] = defaultdict(dict)
        """What is asked → the targets on which it failed alike, and how."""

    def answered(self, question: Question) -> None:
        """A request was answered: its target stands what it asks."""
        if self._blamed and (targets := self._blamed.get(content_of(question.request))):
            targets.pop(question.target.name, None)

    def blame(self, question: Question, shape: Shape) -> None:
        """It failed in this way each time on its target, which answered others meanwhile or right after."""
        self._blamed[content_of(question.request)][question.target.name] = shape

    def culprit(self, question: Question, shape: Shape) -> tuple[str, ...]:
        """The targets on which what it asks failed in this way, where they are so many that it is at fault itself."""
        if not self._blamed:  # the usual case: nothing is hashed
            return ()
        blamed = self._blamed.get(content_of(question.request), {})
        targets = sorted(name for name, each in blamed.items() if each == shape)
        return tuple(targets) if len(targets) >= TARGETS else ()


def shape_of(error: InfraError) -> Shape:
    """What two failures have in common that are the same: category, status, and message without ids and numbers."""
    return error.category, getattr(error, "status", None), _ID.sub("#", error.message)


def content_of(request: ChatRequest) -> str:
    """The same for the same messages and settings, whichever model is asked."""
    fields = {each.name: getattr(request, each.name) for each in dataclasses.fields(request) if each.name != "model"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
