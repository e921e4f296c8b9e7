"""A route as it is used: who may be asked, by which rules, and who is asked where the first answer leaves a doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.config.route_schema import PREFIX, Choose, RouteDef, RuleDef, UnsureDef, is_route
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.records import Record

__all__ = ["PREFIX", "Choose", "Route", "Rule", "Try", "Unsure", "is_route", "no_route", "refuse_subject", "route_of"]

_WHY_NOT = (
    "{name} is a route, and a model under test cannot be one: which of its models answers may change from reply to "
    "reply, and results of two models are never mixed"
)


@dataclass(frozen=True, slots=True)
class Try(Record):
    """A model that was asked, and whose answer is not the one that counts."""

    model: str
    why: str
    """The category of its failure, `over_budget`, or the doubt that its answer left."""
    unsure: bool = False
    """Whether it answered, and the answer left a doubt."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Other models for some questions."""

    when: Mapping[str, Any]
    """As `WhenDef` has it; only what was said."""
    models: tuple[str, ...]
    choose: Choose

    def __str__(self) -> str:
        return ", ".join(f"{name}: {str(value).lower()}" for name, value in self.when.items())


@dataclass(frozen=True, slots=True)
class Unsure:
    """Who is asked where an answer leaves a doubt."""

    to: tuple[str, ...]
    when: frozenset[str]
    confidence: float
    difficulty: float


@dataclass(frozen=True, slots=True)
class Route:
    """Several models under one name."""

    name: str
    """As users write it: `route/careful`."""
    models: tuple[str, ...]
    choose: Choose = "order"
    rules: tuple[Rule, ...] = ()
    unsure: Unsure | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """All that may be asked, each once."""
        stronger = self.unsure.to if self.unsure else ()
        return tuple(dict.fromkeys(name for names in (*self._lists(), stronger) for name in names))

    @property
    def firsts(self) -> tuple[str, ...]:
        """Those that stand first in a list."""
        return tuple(dict.fromkeys(names[0] for names in self._lists()))

    def _lists(self) -> Iterator[tuple[str, ...]]:
        yield self.models
        yield from (rule.models for rule in self.rules)


def route_of(name: str, said: RouteDef) -> Route:
    """A route of llmbench.yaml.

    Args:
        name: as the file has it, without `route/`.
        said: what stands there.
    """
    return Route(
        PREFIX + name,
        tuple(said.models),
        said.choose,
        tuple(_rule(each, said.choose) for each in said.rules),
        _unsure(said.unsure) if said.unsure else None,
    )


def no_route(name: str, known: Mapping[str, RouteDef]) -> UsageError:
    """What to say of a name that no route has."""
    names = [PREFIX + each for each in known]
    routes = f"routes: {', '.join(names)}" if names else "it has none"
    return UsageError(
        f"no route is named {name!r}{did_you_mean(name, names)}",
        hint=f"`routes:` of llmbench.yaml names them; {routes}",
    )


def refuse_subject(name: str) -> None:
    """See that a model under test is no route.

    Raises:
        UsageError: it is one.
    """
    if is_route(name):
        raise UsageError(
            _WHY_NOT.format(name=name),
            hint="name its models, each of which gets results of its own; a route may judge (judge: "
            f"{name}), and talk (`llmbench chat --model {name}`)",
        )


def _rule(said: RuleDef, choose: Choose) -> Rule:
    return Rule(said.when.model_dump(exclude_unset=True), tuple(said.models), said.choose or choose)


def _unsure(said: UnsureDef) -> Unsure:
    return Unsure(tuple(said.to), frozenset(said.when), said.confidence, said.difficulty)
