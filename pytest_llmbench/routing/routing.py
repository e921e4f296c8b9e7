"""The routes of a session, and what is known of their models; nothing is imported before a route is named."""

# ruff: noqa: PLC0415 - most sessions name none

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pytest_llmbench.asker.question import Asker, Status
from pytest_llmbench.config import Resolved
from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.records import Reply, Target

if TYPE_CHECKING:
    from pytest_llmbench.routing.figures import Figures
    from pytest_llmbench.routing.knowledge import Knowledge
    from pytest_llmbench.routing.path import Path, Settle
    from pytest_llmbench.routing.route import Route
    from pytest_llmbench.routing.routes import Routes
    from pytest_llmbench.store import Store


class Local(Protocol):
    """Models of this machine."""

    def known(self, name: str) -> str:
        """A model's name as it is known; raises `UsageError` for one that nobody knows."""


class Session(Protocol):
    """What is needed of a session."""

    @property
    def resolved(self) -> Resolved: ...
    @property
    def local(self) -> Local: ...
    @property
    def asker(self) -> Asker: ...
    @property
    def store(self) -> Store: ...
    def is_remote(self, name: str) -> bool: ...
    def target(self, name: str) -> Target | None: ...


class Routing:
    """Of one session.

    Args:
        session: it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def route(self, name: str) -> Route:
        """As `Routes.route`."""
        return self._routes.route(name)

    def members(self, name: str) -> tuple[str, ...]:
        """The models that may answer in a name's place: of a route all of its models, else itself."""
        return self.route(name).members if is_route(name) else (name,)

    def firsts(self, name: str) -> tuple[str, ...]:
        """Those of them that stand first in a list."""
        return self.route(name).firsts if is_route(name) else (name,)

    def foreseen(self, route: Route, figures: Figures) -> tuple[str, ...]:
        """Who may be asked, as far as that is known before anybody was asked anything: who comes first, and all others.

        Raises:
            UsageError: none of its models can take the question.
        """
        from pytest_llmbench.routing.knowledge import Knowledge
        from pytest_llmbench.routing.path import Path

        return Path(route, figures, Knowledge(self._session.target, Status, lambda _: ())).names

    def path(self, route: Route, figures: Figures, *, settle: Settle | None = None) -> Path:
        """The way of a question through a route; see there."""
        from pytest_llmbench.routing.path import Path, best

        return Path(route, figures, self.knowledge, settle=settle or best)

    @cached_property
    def knowledge(self) -> Knowledge:
        """What is known of models."""
        from pytest_llmbench.routing.knowledge import Knowledge

        return Knowledge(self._session.target, self._status, self._recent)

    @cached_property
    def _routes(self) -> Routes:
        from pytest_llmbench.routing.routes import Routes

        session = self._session
        return Routes(session.resolved, self._known_name, session.is_remote)

    def _known_name(self, name: str) -> str:
        return name if self._session.is_remote(name) else self._session.local.known(name)

    def _status(self) -> Status:
        return self._session.asker.status()

    def _recent(self, model: str) -> Sequence[Reply]:
        return self._session.store.recent_replies(model)
