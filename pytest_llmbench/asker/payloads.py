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
        self._blamed: defaultdict[str, set[str]] = defaultdict(set)
        """What is asked → the targets on which it failed alike."""

    def answered(self, question: Question) -> None:
        """A request was answered: its target stands what it asks."""
        if self._blamed and (targets := self._blamed.get(content_of(question.request))):
            targets.discard(question.target.name)

    def blame(self, question: Question) -> None:
        """It failed alike each time on its target, while others were answered."""
        self._blamed[content_of(question.request)].add(question.target.name)

    def culprit(self, question: Question) -> tuple[str, ...]:
        """The targets on which what it asks failed alike, where they are so many that it is at fault itself."""
        if not self._blamed:  # the usual case: nothing is hashed
            return ()
        targets = self._blamed.get(content_of(question.request), ())
        return tuple(sorted(targets)) if len(targets) >= TARGETS else ()


def shape_of(error: InfraError) -> Shape:
    """What two failures have in common that are the same: category, status, and message without ids and numbers."""
    return error.category, getattr(error, "status", None), _ID.sub("#", error.message)


def content_of(request: ChatRequest) -> str:
    """The same for the same messages and settings, whichever model is asked."""
    fields = {each.name: getattr(request, each.name) for each in dataclasses.fields(request) if each.name != "model"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
