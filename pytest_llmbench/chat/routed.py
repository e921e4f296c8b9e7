"""A route that is talked to: one model after the other, until an answer counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_llmbench.chat.speaking import ROLE, Asked, Hear, ModelSpeaker
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.observe.calls import Kind, Note
from pytest_llmbench.records import Reply
from pytest_llmbench.routing.asking import asked_by_route
from pytest_llmbench.routing.doubts import LOW_CONFIDENCE, may_tell_confidence, of_chat
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Try
from pytest_llmbench.validators.refusing import refuses

if TYPE_CHECKING:
    from pytest_llmbench.session import Session


class RouteSpeaker:
    """Several models under one name.

    Args:
        session: this process's.
        name: `route/NAME`.

    Raises:
        UsageError: there is no such route, or one of its models cannot be asked.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.name = name
        self._session = session
        self._route = session.routing.route(name)
        self._speakers = {
            model: ModelSpeaker(session, model) for model in self._route.members if session.is_remote(model)
        }
        self.is_local = len(self._speakers) < len(self._route.members)

    def answer(self, asked: Asked) -> Reply:
        request = request_of(self.name, asked.messages, **asked.manner.options())
        path = self._session.routing.path(self._route, Figures(request))
        return asked_by_route(path, partial(self._asked_of, path, asked), self._doubt, partial(self._tell, path, asked))

    def _asked_of(self, path: Path, asked: Asked, model: str) -> Reply:
        if model not in self._speakers:  # of this machine: its file may have to be fetched first
            self._speakers[model] = ModelSpeaker(self._session, model)
        hear, extra = self._hear(path, asked, model), self._extra(asked, model)
        return self._speakers[model].answer(dataclasses.replace(asked, hear=hear, extra=extra, hasty=not path.is_last))

    def _extra(self, asked: Asked, model: str) -> Mapping[str, Any]:
        """How likely the tokens of an answer were is asked for where that decides, and where it can be told."""
        unsure, told = self._route.unsure, {"logprobs": True}
        if unsure is None or LOW_CONFIDENCE not in unsure.when or model in unsure.to:
            return {}
        target = self._session.target(model)
        if target is None:
            return told
        request = request_of(model, asked.messages, logprobs=True, **asked.manner.options())
        takes = may_tell_confidence(target) and self._session.fit(target, request, ROLE).capabilities.logprobs
        return {} if takes is False else told

    def _hear(self, path: Path, asked: Asked, model: str) -> Hear | None:
        """An answer that may be doubted is heard when it is complete."""
        unsure = self._route.unsure
        is_last_word = unsure is None or model in unsure.to or any(each.unsure for each in path.tries)
        return asked.hear if is_last_word else None

    def _doubt(self, reply: Reply) -> str:
        return of_chat(reply, self._route.unsure, refuses) if self._route.unsure is not None else ""

    def _tell(self, path: Path, asked: Asked, tried: Try) -> None:
        told = f"{tried.model}: {'unsure, ' if tried.unsure else ''}{tried.why}; asking {path.model}"
        asked.restart(told)
        if (observer := self._session.observer) is not None:
            details: Mapping[str, Any] = {"route": self.name, "why": tried.why, "next": path.model}
            observer.notes(Note(Kind.FELL_BACK, f"{self.name}: {told}", tried.model, details))
