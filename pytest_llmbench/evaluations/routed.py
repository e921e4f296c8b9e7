"""Judges that are routes: which of its models is asked, the same in every process that asks for a test."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import partial

from pytest_llmbench.bookings import place_hash
from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.evaluations.jury import Asked, Jury
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Route
from pytest_llmbench.serving import subject_of


def path_of(jury: Jury, asked: Asked) -> Path:
    """The way of what a route is asked.

    Args:
        jury: who judges.
        asked: with its `seat` and `ordinal`.

    Raises:
        UsageError: no model of the route can take it.
    """
    routing = jury.session.routing
    route = routing.route(asked.seat)
    return routing.path(route, _figures(jury, route, asked), settle=partial(_settled, jury, asked))


def expected(jury: Jury, asked: Asked, *, every: bool = False) -> tuple[Asked, ...]:
    """As it is likely to be asked, told before anybody is asked.

    Args:
        jury: who judges.
        asked: one of `Jury.first`, whose model may be a route.
        every: all whom a route may ask, and not only the one that comes first.
    """
    if not is_route(asked.model):
        return (asked,)
    routing = jury.session.routing
    route = routing.route(asked.model)
    names = route.members if every else (routing.expected(route, _figures(jury, route, asked)),)
    return tuple(dataclasses.replace(asked, model=name, seat=route.name, ordinal=0) for name in names)


def _figures(jury: Jury, route: Route, asked: Asked) -> Figures:
    return Figures(jury.request(route.members[0], asked.messages), asked.behalf.use_case)


def _settled(jury: Jury, asked: Asked, step: int, models: Sequence[str]) -> str:
    """Who is asked: whoever answered in an earlier session of the run, else the best; all processes say the same."""
    session = jury.session
    knows_more = session.identity.resuming or session.rejudges
    kept = [name for name in models if knows_more and _is_kept(jury, asked, name)]
    said = [asked.seat, asked.behalf.key, asked.ordinal, step, [dict(each) for each in asked.messages]]
    key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return session.asker.agree({key: (kept or models)[0]})[key]


def _is_kept(jury: Jury, asked: Asked, model: str) -> bool:
    """Whether a model's reply is at hand already; of a model of this machine that is not looked up.

    It may have been asked without the route's wish for log-probabilities: see `Jury.question`.
    """
    target = jury.session.target(model)
    if target is None:
        return False
    requests = [jury.request(model, asked.messages, seat) for seat in (asked.seat, "")]
    hashes = dict.fromkeys(place_hash(request, subject_of(target)) for request in requests)
    key, ordinal = asked.behalf.key, asked.ordinal or 0
    return any(jury.session.bookings.holds((key, each, ordinal)) for each in hashes)
