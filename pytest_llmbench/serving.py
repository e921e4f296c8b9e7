"""Joins an address and a client: a model name becomes something a test can ask."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from pytest_llmbench import http
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest, Endpoint, Model
from pytest_llmbench.clients.live import Live
from pytest_llmbench.clients.model import Prompt, requests_of
from pytest_llmbench.clients.request import told_of
from pytest_llmbench.clients.rounds import GONE
from pytest_llmbench.clients.watched import Begin
from pytest_llmbench.errors import Category, InfraError, NotAskedError, ServerError, UsageError, WireError
from pytest_llmbench.observe.calls import CallBegun, CallEnded
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.observe.seen import Seen
from pytest_llmbench.providers.table import DEMO_URL
from pytest_llmbench.records import Reply, ServerInfo, ServerSpec, Target
from pytest_llmbench.secret import Secret
from pytest_llmbench.session import Session

SETTLE_S = 1.0
"""How long after the end of a connection the end of its server may become known."""
_WAITED = frozenset({Category.TIMEOUT_CONNECT, Category.TIMEOUT_TTFT, Category.TIMEOUT_IDLE, Category.TIMEOUT_TOTAL})


class ServedModel(Model, ABC):
    """A model behind an address that this session knows; its server is claimed at each use."""

    def __init__(self, session: Session, name: str, role: str) -> None:
        self.session = session
        self.deadlines = session.deadlines
        self.role = role
        self.anew = False
        """Whether no reply of the response cache will do."""
        self.ordinal: int | None = None
        """How often the same was asked before, where whoever asks knows it; None: it is counted."""
        super().__init__(
            name,
            endpoint=self.endpoint,
            deadlines=session.deadlines,
            recall=lambda request: session.bookings.recall(
                request, self.identity(), role, self._seen_cached, anew=self.anew, ordinal=self.ordinal
            ),
            keep=lambda request, reply: session.bookings.keep(
                request, dataclasses.replace(reply, role=role), self.identity()
            ),
            lost=self._lost,
            see=self._see,
        )

    @abstractmethod
    def server(self) -> ServerInfo:
        """The server as it runs now."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What makes an answer of this model comparable with another."""

    def gone(self, error: WireError) -> ServerError | None:  # noqa: ARG002 - for servers that are ours
        """Why the server is gone under a broken exchange, where asking a new one helps."""
        return None

    def explain(self, error: WireError) -> InfraError:
        """The reason behind a broken exchange, where more is known than that it broke."""
        return error

    def answers(
        self, requests: Sequence[ChatRequest], *, concurrency: int | None = None, stop: http.Stop | None = None
    ) -> list[Reply]:
        __tracebackhide__ = True
        try:
            return super().answers(requests, concurrency=concurrency, stop=stop)
        except WireError as error:
            raise self.explain(error) from error

    def endpoint(self) -> Endpoint:
        return self.endpoint_at(self.server())

    def endpoint_at(self, info: ServerInfo) -> Endpoint:
        """How a server of this model is asked."""
        return Endpoint(base_url=info.base_url, api_key=info.api_key, model_id=self.model_id, name=self.name)

    def _lost(self, request: ChatRequest, number: int, error: WireError) -> InfraError | None:
        if (reason := self.gone(error)) is not None:
            self.session.bookings.keep_failed(request, number, reason, self.identity(), self.role)
        return reason

    def _see(self, requests: Sequence[ChatRequest]) -> Sequence[Begin] | None:
        if (observer := self.session.observer) is None:
            return None
        places = self.session.bookings.places(requests, self.identity())
        calls = [self._call(request, *place) for request, place in zip(requests, places, strict=True)]
        return [partial(_begun, observer, call) for call in calls]

    def _seen_cached(self, request: ChatRequest, place: tuple[str, str, int], reply: Reply) -> None:
        if (observer := self.session.observer) is not None:
            observer.ends(CallEnded.answered(self._call(request, *place), reply, None, cached=True))

    def _call(self, request: ChatRequest, test_key: str, request_hash: str, trial: int) -> CallBegun:
        asking = self.session.asking()
        return CallBegun(
            run_id=self.session.run_id,
            test_key=test_key,
            sample=asking.sample,
            trial=trial,
            role=self.role,
            use_case=asking.use_case,
            model=self.name,
            model_id=self.model_id,
            request_hash=request_hash,
            **told_of(request),
        )

    def seen_by(self) -> tuple[Observer, CallBegun] | None:
        """Who is told of what is sent to it to be timed, and what those calls have in common; None: nobody looks on."""
        if (observer := self.session.observer) is None:
            return None
        asking = self.session.context
        return observer, CallBegun(
            run_id=self.session.run_id,
            test_key=asking.key if asking else "",
            use_case=asking.use_case if asking else "",
            model=self.name,
            role=self.role,
        )

    def server_spec(self) -> ServerSpec | None:
        """What its server is ordered to be; None where it is somebody else's."""
        return None

    def served_with(self, **settings: Any) -> Self:
        """The same model behind a server with other settings.

        Raises:
            UsageError: the server is somebody else's, or has no such setting.
        """
        raise UsageError(
            f"{self.name} is served by somebody else: its {', '.join(sorted(settings))} cannot be chosen",
            hint="name a local model (name:QUANT), whose server we start",
        )

    def let_go(self) -> None:
        """End the claims on its server: it may go where its room is needed."""

    def fit_for(self, needs: Mapping[str, Any]) -> Self:  # noqa: ARG002 - for servers that are ours
        """The same model behind a server that has at least what a load needs, where that is ours to choose."""
        return self

    @property
    def model_id(self) -> str:
        """The name sent to the server."""
        return self.name

    @property
    def base_url(self) -> str:
        """The server's address without /v1."""
        return self.server().base_url

    @property
    def api_key(self) -> Secret:
        """The key the server wants; `api_key.reveal()` for clients of your own."""
        return self.server().api_key


class LocalModel(ServedModel):
    """A GGUF file behind a llama.cpp server that the supervisor owns."""

    def __init__(self, session: Session, spec: ServerSpec, role: str = "subject") -> None:
        super().__init__(session, spec.model.label, role)
        self.spec = spec

    def server_spec(self) -> ServerSpec:
        return self.spec

    def served_with(self, **settings: Any) -> LocalModel:
        from pytest_llmbench.servers.choices import with_choices  # noqa: PLC0415 - API models need no server of ours

        return LocalModel(self.session, with_choices(self.spec, settings), self.role)

    def let_go(self) -> None:
        self.session.grants.let_go(self.spec)

    def fit_for(self, needs: Mapping[str, Any]) -> LocalModel:
        more = {name: value for name, value in needs.items() if _is_more(value, getattr(self.spec, name))}
        return self.served_with(**more) if more else self

    def server(self, *, unwanted: Callable[[], bool] = lambda: False) -> ServerInfo:
        in_turn = self.session.asking().claims_in_turn
        return self.session.grants.served(self.spec, in_turn=in_turn, unwanted=unwanted)

    def gone(self, error: WireError) -> ServerError | None:
        """Not for one that let us wait: asking again would take as long again."""
        if error.category not in GONE:
            return None
        died = self._death(error)
        return None if died is None or died.category is Category.LOCAL_SUPERVISOR else died

    def explain(self, error: WireError) -> InfraError:
        from pytest_llmbench.servers.claims import HANG_S  # noqa: PLC0415 - API models need no server of ours

        if error.category in _WAITED:
            self.session.supervisor.suspect(self.spec, bound_s=HANG_S)
        return self._death(error) or error

    def _death(self, error: WireError) -> ServerError | None:
        broke = error.category in GONE
        died = self.session.supervisor.crash(self.spec, settle_s=SETTLE_S if broke else 0)
        if died is not None:
            died.partial_text = error.partial_text
        return died

    def identity(self) -> Mapping[str, Any]:
        build = self.session.supervisor.build(self.spec)
        return {"sha256": self.spec.model.sha256, "engine_build": build, **self.spec.identity()}


class ApiModel(ServedModel):
    """A model behind somebody else's server: used as it is, never started or stopped.

    Tests ask it through the session's asker, which keeps to limits and budget; measurements of speed do not.
    """

    def __init__(self, session: Session, target: Target, role: str = "subject") -> None:
        super().__init__(session, target.name, role)
        self.target = target
        self.hasty = False
        """Whether somebody else can be asked instead, so that nobody waits while it is ill."""
        self.told: Mapping[str, Any] = {}
        """What its server tells of itself and the model, where that was asked: see `backends.sameness`."""

    def known_by(self, told: Mapping[str, Any], kind: str = "") -> ApiModel:
        """The same model, known by what its server tells.

        Args:
            told: it.
            kind: of the server; empty: as it was.
        """
        known = copy.copy(self)
        known.told = told
        if kind:
            known.target = dataclasses.replace(self.target, server_kind=kind)
        return known

    def answers(
        self, requests: Sequence[ChatRequest], *, concurrency: int | None = None, stop: http.Stop | None = None
    ) -> list[Reply]:
        __tracebackhide__ = True
        if stop is not None:
            stop.holds(self.session.asker.cancel)
        questions = [self._question(request) for request in requests]
        if len(questions) == 1:  # told in one message instead of two
            return self._noted([self.session.asker.get(questions[0])])
        return self._noted(self.session.asker.get_all(questions, concurrency=concurrency))

    def ask_all(self, prompts: Iterable[Prompt], *, concurrency: int | None = None, **options: Any) -> list[Reply]:
        """As `Model.ask_all`; what the page of a use case asks by itself is asked and paid once for both."""
        __tracebackhide__ = True
        shared = None if options else getattr(prompts, "shared_questions", None)
        if shared is not None and (questions := shared(self.name)):
            return self._noted(self.session.asker.get_all(questions, concurrency=concurrency))
        return super().ask_all(prompts, concurrency=concurrency, **options)

    def answer(self, planned: Question) -> Reply:
        """The reply to what was asked ahead of the test that runs now."""
        __tracebackhide__ = True
        return self._noted([self.session.asker.get(self.session.bookings.book_planned(planned))])[0]

    def answer_shared(self, question: Question) -> Reply:
        """The reply to a question that several tests ask; it is the same for all of them."""
        __tracebackhide__ = True
        return self._noted([self.session.asker.get(question)])[0]

    def answers_to(self, planned: Sequence[Question]) -> list[Reply]:
        """As `answer`, of several."""
        __tracebackhide__ = True
        if len(planned) == 1:
            return [self.answer(planned[0])]
        return self._noted(self.session.asker.get_all(list(map(self.session.bookings.book_planned, planned))))

    def stream(self, prompt: Prompt, **options: Any) -> Live:
        __tracebackhide__ = True
        [request] = requests_of(self.name, [prompt], options)
        streamed = self.session.asker.stream(self._question(request))
        return Live(streamed, lambda: self._noted([streamed.reply])[0], self.session.asker.cancel)

    def _question(self, request: ChatRequest) -> Question:
        __tracebackhide__ = True
        target = self.session.fit(self.target, request, self.role)
        place = self.session.bookings.book(request, self.identity())
        asking = self.session.asking()
        about = asking.use_case, self.role, asking.sample
        return Question(target, request, *place, *about, hasty=self.hasty, anew=self.anew)

    def _noted(self, replies: list[Reply]) -> list[Reply]:
        for reply in replies:
            self.session.bookings.note(reply)
        return replies

    @property
    def model_id(self) -> str:
        return self.target.model_id

    def endpoint_at(self, info: ServerInfo) -> Endpoint:
        return dataclasses.replace(super().endpoint_at(info), format=self.target.format, headers=self.target.headers)

    def server(self) -> ServerInfo:
        url = self.target.base_url
        if url == DEMO_URL:
            from pytest_llmbench.demo.background import background  # noqa: PLC0415 - only who uses it pays for it

            url = background()
        return ServerInfo("external", url, self.session.providers.key(self.target))

    def seen_by(self) -> tuple[Observer, CallBegun] | None:
        if (seen := super().seen_by()) is None:
            return None
        observer, call = seen
        return observer, dataclasses.replace(call, provider=self.target.provider, account=self.target.account)

    def identity(self) -> Mapping[str, Any]:
        return {**subject_of(self.target), **self.told}


def _begun(observer: Observer, call: CallBegun, where: Endpoint, attempt: int) -> Seen:
    return Seen(observer, call.begun(where.base_url, attempt))


def subject_of(target: Target) -> Mapping[str, Any]:
    """What makes answers of a remote model comparable: where it is asked, and as what."""
    return {"url": target.base_url, "served": target.model_id}


def _is_more(value: Any, than: Any) -> bool:
    return bool(value > than if isinstance(value, int) else value != than)


class TakenModel(ServedModel):
    """A model of this machine in a run that takes its replies from another: it is asked nothing, no server starts, and
    its file need not be here.
    """

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(session, name, "subject")
        self._recall = session.bookings.take

    def server(self) -> ServerInfo:
        source = self.session.identity.source
        raise NotAskedError(
            f"{self.name} is not served: this run takes its replies from run {source}, and starts no server",
            hint="`llmbench run` asks it",
        )

    def identity(self) -> Mapping[str, Any]:
        return {}

    def served_with(self, **settings: Any) -> TakenModel:  # noqa: ARG002 - how it was served is a matter of that run
        return self


def open_model(session: Session, name: str, *, role: str = "subject") -> ServedModel:
    """The model of a name as tests write it: local, `provider/model`, or `server/model`.

    Args:
        session: this process's.
        name: it.
        role: what its replies are kept as: `subject` or `judge`.
    """
    target = session.target(name)
    if target is None and session.rejudges and role == "subject":
        return TakenModel(session, name)
    return ApiModel(session, target, role) if target else LocalModel(session, session.local.spec(name), role)


def local_model(session: Session, name: str, **settings: Any) -> LocalModel | TakenModel:
    """A local model with a server of these settings."""
    if session.rejudges:
        return TakenModel(session, session.local.known(name))
    return LocalModel(session, session.local.spec(name, **settings))
