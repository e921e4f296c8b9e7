"""The routes of a project by the names that users write, their models checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_llmbench.config import Resolved
from pytest_llmbench.config.strict_yaml import KeyPath, dotted
from pytest_llmbench.errors import UsageError
from pytest_llmbench.models.names import PATH_PREFIX, is_path
from pytest_llmbench.routing.route import PREFIX, Choose, Route, no_route, route_of

Check = Callable[[str], str]
"""A model's name → as it is known; raises `UsageError` for one that nobody knows."""
IsRemote = Callable[[str], bool]
"""Whether a model of this name is asked over the network."""


class Routes:
    """Those of one project.

    Args:
        resolved: settings and configuration.
        check: see there.
        is_remote: see there.
    """

    def __init__(self, resolved: Resolved, check: Check, is_remote: IsRemote) -> None:
        self._resolved = resolved
        self._check = check
        self._is_remote = is_remote
        self._known: dict[str, Route] = {}

    def route(self, name: str) -> Route:
        """The route of a name (`route/careful`), its models by the names that are known.

        Raises:
            UsageError: no route has that name, or one of its models cannot stand there; with file and line.
        """
        if name not in self._known:
            own, routes = name.removeprefix(PREFIX), self._resolved.config.routes
            if own not in routes:
                raise no_route(name, routes)
            self._known[name] = self._checked(route_of(own, routes[own]))
        return self._known[name]

    def _checked(self, route: Route) -> Route:
        rules = tuple(
            replace(rule, models=self._names(route, ("rules", at, "models"), rule.models, rule.choose))
            for at, rule in enumerate(route.rules)
        )
        unsure = route.unsure
        if unsure is not None:
            unsure = replace(unsure, to=self._names(route, ("unsure", "to"), unsure.to, "order"))
        models = self._names(route, ("models",), route.models, route.choose)
        return replace(route, models=models, rules=rules, unsure=unsure)

    def _names(self, route: Route, keys: KeyPath, models: Sequence[str], choose: Choose) -> tuple[str, ...]:
        """A list of a route, each model by the name that is known."""
        found: list[str] = []
        for at, name in enumerate(models):
            try:
                found.append(self._check(self._anchored(name)))
                self._see_choosable(found[-1], choose)
            except UsageError as error:
                where = "routes", route.name.removeprefix(PREFIX), *keys, at
                raise UsageError(f"{self._place(where)}: {error.message}", hint=error.hint) from None
        return tuple(found)

    def _see_choosable(self, name: str, choose: Choose) -> None:
        if choose != "order" and not self._is_remote(name):
            raise UsageError(
                f"{name!r} runs on this machine, and stands only where the order is given (choose: order)",
                hint=f"`choose: {choose}` is for models behind an API; put it last with `choose: order`",
            )

    def _anchored(self, name: str) -> str:
        """The path of a file starts beside llmbench.yaml."""
        beside = self._resolved.config_path
        if beside is None or not is_path(name):
            return name
        return str((beside.parent / Path(name.removeprefix(PATH_PREFIX)).expanduser()).absolute())

    def _place(self, keys: KeyPath) -> str:
        document = self._resolved.document
        return f"{document.name}:{document.line(keys)}: {dotted(keys)}"
