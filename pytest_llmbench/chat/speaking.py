"""One model that is talked to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pytest_llmbench import clock, http
from pytest_llmbench.chat.conversation import Message
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.errors import InfraError, ServerError, WireError
from pytest_llmbench.records import FailedAttempt, Reply
from pytest_llmbench.serving import ApiModel, LocalModel, ServedModel, open_model

if TYPE_CHECKING:
    from pytest_llmbench.session import Session

ROLE = "chat"

Hear = Callable[[str], None]
"""Given each piece of an answer as it comes, those of its reasoning as `clients.wire.Thought`; in any thread."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How models are asked."""

    max_tokens: int | None = None
    temperature: float | None = None
    """None: none is sent, and the provider's own holds."""
    seed: int | None = None
    stream: bool = True

    def options(self) -> Mapping[str, Any]:
        """As models take them."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to one model."""

    messages: Sequence[Message]
    manner: Manner
    stop: http.Stop
    """Breaks it off."""
    hear: Hear | None
    """None: nobody watches, so an answer that broke off is tried again from its beginning."""
    tell: Callable[[str], None]
    """Told what is waited for."""
    restart: Callable[[str], None] = lambda _: None
    """Told that what was heard is no answer, and who is asked now."""
    hasty: bool = False
    """Whether somebody else can be asked instead: then nobody waits for a model that is ill."""
    anew: bool = False
    """Whether no reply of the response cache will do."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request."""

    def options(self) -> Mapping[str, Any]:
        """As models take them."""
        return {**self.manner.options(), **self.extra}


class Speaker(Protocol):
    """Who answers. Asked in a thread of its own."""

    name: str
    is_local: bool
    """Whether it needs this machine."""

    def answer(self, asked: Asked) -> Reply:
        """Ask, and wait for the whole answer.

        Raises:
            LlmbenchError: there is none.
        """


class ModelSpeaker:
    """A model, local or remote, asked as tests ask it.

    Args:
        session: this process's.
        name: as users write it.

    Raises:
        UsageError: nobody knows it, or its key is missing.
        ModelFileError: its file cannot be had.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._model: ServedModel = open_model(session, name, role=ROLE)
        self.name = name
        self.is_local = not isinstance(self._model, ApiModel)

    def answer(self, asked: Asked) -> Reply:
        try:
            return self._answer(asked)
        except InfraError as error:
            found = self._model.explain(error) if isinstance(error, WireError) else error
            if self.is_local:  # of all others the asker keeps what failed
                self._keep_failed(asked, found)
            if found is error:
                raise
            raise found from error
        finally:
            self._model.let_go()

    def _answer(self, asked: Asked) -> Reply:
        asked.stop.check()
        self._begin(asked)
        if asked.hear is None:
            request = request_of(self._model.name, asked.messages, **asked.options())
            return self._model.answers([request], stop=asked.stop)[0]
        live = self._model.stream(asked.messages, **asked.options())
        asked.stop.holds(live.stop)
        for piece in live.everything():
            asked.hear(piece)
        return live.reply

    def _begin(self, asked: Asked) -> None:
        """See that a server of ours runs; it can be broken off from here on."""
        self._model.anew = asked.anew
        if isinstance(self._model, ApiModel):
            self._model.hasty = asked.hasty
            asked.stop.holds(self._session.asker.cancel)
        if isinstance(self._model, LocalModel):
            self._load(self._model, asked)
        asked.stop.check()

    def _load(self, model: LocalModel, asked: Asked) -> None:
        if self._session.supervisor.status(model.spec).state != "running":
            asked.tell(f"loading {self.name}")
        asked.stop.holds(partial(self._session.supervisor.withdraw, model.spec))
        try:
            model.server(unwanted=lambda: asked.stop.is_wanted)
        except ServerError:
            asked.stop.check()  # withdrawn: no fault of the server
            raise

    def _keep_failed(self, asked: Asked, error: InfraError) -> None:
        request = request_of(self._model.name, asked.messages, **asked.options())
        partial_text = str(getattr(error, "partial_text", ""))
        attempt = FailedAttempt(
            model=self._model.name,
            request_hash=request.hash(),
            number=1,
            category=str(error.category),
            message=error.message,
            partial_text=partial_text if self._session.settings.keep_prompts else "",
            at=clock.now().isoformat(),
            role=ROLE,
        )
        self._session.store.save_failed_attempt(self._session.run_id, self._session.asking().key, attempt)
