"""Joins an address and a client: a model name becomes something a test can ask and measure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from pytest_llmbench.bench import measure
from pytest_llmbench.clients import ChatRequest, Endpoint, Model
from pytest_llmbench.clients.model import Prompt
from pytest_llmbench.clients.rounds import GONE
from pytest_llmbench.config import ServerDef
from pytest_llmbench.errors import Category, InfraError, ServerError, UsageError, WireError, did_you_mean
from pytest_llmbench.profiles import PROFILES
from pytest_llmbench.profiles.demo_form import DEMO
from pytest_llmbench.profiles.grading import graded
from pytest_llmbench.records import Measurement, Reply, ServerInfo, ServerSpec
from pytest_llmbench.secret import Secret
from pytest_llmbench.servers.claims import HANG_S
from pytest_llmbench.session import Session, with_choices

SETTLE_S = 1.0
"""How long after the end of a connection the end of its server may become known."""
_WAITED = frozenset({Category.TIMEOUT_CONNECT, Category.TIMEOUT_TTFT, Category.TIMEOUT_IDLE, Category.TIMEOUT_TOTAL})


class ServedModel(Model, ABC):
    """A model behind an address that this session knows; its server is claimed at each use."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.deadlines = session.deadlines
        super().__init__(
            name,
            endpoint=self.endpoint,
            deadlines=session.deadlines,
            recall=lambda request: session.recall(request, self.identity()),
            keep=lambda request, reply: session.keep(request, reply, self.identity()),
            lost=self._lost,
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

    def ask_all(self, prompts: Iterable[Prompt], *, concurrency: int = 4, **options: Any) -> list[Reply]:
        try:
            return super().ask_all(prompts, concurrency=concurrency, **options)
        except WireError as error:
            raise self.explain(error) from error

    def endpoint(self) -> Endpoint:
        return self.endpoint_at(self.server())

    def endpoint_at(self, info: ServerInfo) -> Endpoint:
        """How a server of this model is asked."""
        return Endpoint(base_url=info.base_url, api_key=info.api_key, model_id=self.model_id, name=self.name)

    def _lost(self, request: ChatRequest, number: int, error: WireError) -> InfraError | None:
        if (reason := self.gone(error)) is not None:
            self.session.keep_failed(request, number, reason, self.identity())
        return reason

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

    def __init__(self, session: Session, spec: ServerSpec) -> None:
        super().__init__(session, spec.model.label)
        self.spec = spec

    def server_spec(self) -> ServerSpec:
        return self.spec

    def served_with(self, **settings: Any) -> LocalModel:
        return LocalModel(self.session, with_choices(self.spec, settings))

    def let_go(self) -> None:
        self.session.let_go(self.spec)

    def fit_for(self, needs: Mapping[str, Any]) -> LocalModel:
        more = {name: value for name, value in needs.items() if _is_more(value, getattr(self.spec, name))}
        return self.served_with(**more) if more else self

    def server(self) -> ServerInfo:
        return self.session.served(self.spec)

    def gone(self, error: WireError) -> ServerError | None:
        """Not for one that let us wait: asking again would take as long again."""
        if error.category not in GONE:
            return None
        died = self._death(error)
        return None if died is None or died.category is Category.LOCAL_SUPERVISOR else died

    def explain(self, error: WireError) -> InfraError:
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
        spec = self.spec.as_dict()
        del spec["model"]
        return {"sha256": self.spec.model.sha256, "engine_build": self.session.supervisor.build(self.spec), **spec}


class ExternalModel(ServedModel):
    """A model behind somebody else's server: used as it is, never started or stopped."""

    def __init__(self, session: Session, name: str, definition: ServerDef, served: str) -> None:
        super().__init__(session, name)
        self._info = ServerInfo("external", definition.url, session.key_of(definition))
        self._served = served

    @property
    def model_id(self) -> str:
        return self._served

    def server(self) -> ServerInfo:
        return self._info

    def identity(self) -> Mapping[str, Any]:
        return {"url": self._info.base_url, "served": self._served}


def _is_more(value: Any, than: Any) -> bool:
    return bool(value > than if isinstance(value, int) else value != than)


def open_model(session: Session, name: str) -> ServedModel:
    """The model of a name as tests write it: local, or `server/model`."""
    found = session.external(name)
    return ExternalModel(session, name, *found) if found else local_model(session, name)


def local_model(session: Session, name: str, **settings: Any) -> LocalModel:
    """A local model with a server of these settings."""
    return LocalModel(session, session.spec(name, **settings))


def run_bench(
    session: Session,
    model: ServedModel | str,
    profile: str,
    choices: Mapping[str, Any],
    *,
    demo: bool | None = None,
) -> Measurement:
    """Measure under the machine lock that the test holds; what is not chosen comes from the settings.

    Args:
        session: this process's.
        model: what is measured; a model's name will do.
        profile: how.
        choices: fields of the profile's load.
        demo: whether the profile's demo form gives the sizes; None as the settings say.

    Raises:
        UsageError: no such profile, a choice that cannot be, or the test does not have the machine.
    """
    if profile not in PROFILES:
        raise UsageError(
            f"no profile {profile!r}{did_you_mean(profile, PROFILES)}", hint=f"profiles: {', '.join(PROFILES)}"
        )
    session.require_exclusive()
    chosen = PROFILES[profile]
    load = chosen.planned({**_defaults(session, profile, demo), **chosen.given(choices)})
    if isinstance(model, str):
        model = open_model(session, session.checked_external(model) or model)
    with _fitted(model, chosen.needs(load)) as subject:
        measured = measure(
            subject,
            chosen,
            load,
            session.book,
            grade=partial(graded, rules=session.config),
            client_error=lambda: session.client_error,
            owner=session.measurement_owner(),
        )
    if session.context is not None:
        session.context.measurement_ids.append(measured.id)
    return measured


@contextmanager
def _fitted(model: ServedModel, needs: Mapping[str, Any]) -> Iterator[ServedModel]:
    """The model as a load needs it. Where that is another server, one makes room for the other before and after."""
    fitted = model.fit_for(needs)
    if fitted is model:
        yield model
        return
    model.let_go()
    try:
        yield fitted
    finally:
        fitted.let_go()


def _defaults(session: Session, profile: str, demo: bool | None) -> dict[str, Any]:
    """What the settings say of this profile's load."""
    settings = session.settings
    own = {"rounds": settings.rounds, "output_tokens": settings.output_tokens} if profile == "interactive" else {}
    return {**own, **(DEMO[profile] if (settings.demo_form if demo is None else demo) else {})}
