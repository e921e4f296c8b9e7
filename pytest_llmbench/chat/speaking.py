"""One model that is talked to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pytest_llmbench import clock, http
from pytest_llmbench.chat.conversation import Message
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.errors import Category, InfraError, WireError
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

    def check_wanted(self) -> None:
        """See that it was not broken off.

        Raises:
            InfraError: it was; `cancelled`.
        """
        if self.stop.is_wanted:
            raise InfraError("stopped before it was complete", category=Category.CANCELLED)

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
        asked.check_wanted()
        self._begin(asked)
        asked.check_wanted()  # a server may take long to start
        if asked.hear is None:
            return self._model.ask(asked.messages, **asked.options())
        live = self._model.stream(asked.messages, **asked.options())
        asked.stop.holds(live.stop)
        for piece in live.everything():
            asked.hear(piece)
        return live.reply

    def _begin(self, asked: Asked) -> None:
        """See that a server of ours runs; what is asked of somebody else's can be broken off from here on."""
        self._model.anew = asked.anew
        if isinstance(self._model, ApiModel):
            self._model.hasty = asked.hasty
            asked.stop.holds(self._session.asker.cancel)
        if isinstance(self._model, LocalModel):
            status = self._session.supervisor.status(self._model.spec)
            if status.state != "running":
                asked.tell(f"loading {self.name}")
            self._model.server()

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
