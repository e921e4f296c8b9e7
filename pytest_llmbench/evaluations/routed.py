"""Judges that are routes: which of its models is asked, the same in every process that asks for a test."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import Literal

from pytest_llmbench.bookings import Subject, place_hash
from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.errors import InfraError, MissingExtraError
from pytest_llmbench.evaluations.jury import Asked, Jury
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.path import Path
from pytest_llmbench.routing.route import Route
from pytest_llmbench.serving import open_model, subject_of

Reach = Literal["first", "way", "all"]
"""Who of a route: who comes first, all that may be asked of one question, or of any."""


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


def expected(jury: Jury, asked: Asked, ordinal: int, reach: Reach) -> tuple[Asked, ...]:
    """As it is likely to be asked, told before anybody is asked.

    Args:
        jury: who judges.
        asked: one of `Jury.first`, whose model may be a route.
        ordinal: how many times the same was put to the same route before.
        reach: who of a route.
    """
    if not is_route(asked.model):
        return (asked,)
    routing = jury.session.routing
    route = routing.route(asked.model)
    way = routing.foreseen(route, _figures(jury, route, asked))
    names = {"first": way[:1], "way": way, "all": route.members}[reach]
    return tuple(dataclasses.replace(asked, model=name, seat=route.name, ordinal=ordinal) for name in names)


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
    """Whether a model's reply is at hand already, or lies with a batch API.

    It may have been asked without the route's wish for log-probabilities: see `Jury.question`.
    """
    session, target = jury.session, jury.session.target(model)
    key = session.asking().asker() if target is None and asked.behalf.shared else asked.behalf.key
    subject = _heard_here(jury, model, key) if target is None else subject_of(target)
    if subject is None:
        return False
    requests = [jury.request(model, asked.messages, seat) for seat in (asked.seat, "")]
    hashes = dict.fromkeys(place_hash(request, subject) for request in requests)
    return any(session.bookings.holds((key, each, asked.ordinal or 0)) for each in hashes)


def _heard_here(jury: Jury, model: str, key: str) -> Subject | None:
    """As what a model of this machine is known where it answered a test of this key; None: it did not, or what it is
    now cannot be told. Neither is its file fetched nor its server started for that."""
    session = jury.session
    if not session.bookings.heard(key, model):
        return None
    try:
        session.local.store.find(model)
        return open_model(session, model, role=jury.role).identity()
    except (InfraError, MissingExtraError):
        return None
