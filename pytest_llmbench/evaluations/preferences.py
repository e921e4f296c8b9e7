"""A judge asked which of two replies is better, in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.evaluations.judged import booked, replies_of, tell_fallen_back
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury
from pytest_llmbench.evaluations.routed import path_of
from pytest_llmbench.judges import asking, pairwise
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.pairwise import Order, Preference
from pytest_llmbench.records import Reply
from pytest_llmbench.routing.asking import asked_by_route
from pytest_llmbench.routing.doubts import LOW_CONFIDENCE, UNUSABLE, is_unconfident
from pytest_llmbench.routing.route import Unsure

_ORDERS: tuple[Order, Order] = ("ab", "ba")
Both = tuple[Preference, Preference]
"""What a judge says where `a` is shown first, and where `b` is."""
_Said = tuple[Both, Sequence[Reply]]
"""That, and the replies in which it says so."""


class PairJury(Jury):
    """One judge that compares, by the criteria of a rubric."""

    def form(self, *, can_schema: bool, bounded: bool, thought_tokens: int) -> dict[str, Any]:
        return pairwise.request_fields(can_schema=can_schema, bounded=bounded, thought_tokens=thought_tokens)

    def of_pair(self, a: Matter, b: Matter, behalf: Behalf) -> list[Asked]:
        """What it is asked of a pair: `a` first, then `b` first."""
        [model] = self.models
        shown = ((order, (a, b) if order == "ab" else (b, a)) for order in _ORDERS)
        return [Asked(model, pairwise.messages(self.rubric, a, b, order), first, behalf) for order, (first, _) in shown]


def preferences(jury: PairJury, a: Matter, b: Matter, behalf: Behalf) -> Both:
    """What a judge says in both orders, `a` first and then `b` first; once more where that cannot be used.

    Of a route one model says both; where it fails, or is unsure, another one does.

    Raises:
        InfraError: it could not be asked, nor any other model where it is a route.
    """
    put = jury.of_pair(a, b, behalf)
    if not is_route(put[0].model):
        return _preferred(jury, put, a, b)[0]
    number, seat = booked(jury.session), put[0].model
    put = [replace(each, seat=seat, ordinal=number(each)) for each in put]
    path = path_of(jury, put[0])

    def ask(model: str) -> _Said:
        asked = [replace(each, model=model, hasty=not path.is_last) for each in put]
        return _preferred(jury, asked, a, b)

    said: _Said = asked_by_route(path, ask, partial(_doubt, path.route.unsure))
    tell_fallen_back(jury.session, [path])
    return said[0]


def _preferred(jury: PairJury, asked: Sequence[Asked], a: Matter, b: Matter) -> _Said:
    replies = replies_of(jury, asked)
    found = [_preference(each, a, b) for each in replies]
    again = {
        place: replace(asked[place], messages=_again(asked[place], replies[place], one.complaint))
        for place, one in enumerate(found)
        if one.complaint is not None
    }
    for place, reply in zip(again, replies_of(jury, list(again.values())), strict=True):
        found[place], replies[place] = _preference(reply, a, b), reply
    return (found[0], found[1]), replies


def _doubt(unsure: Unsure | None, said: _Said) -> str:
    """Of a judge that is asked in a route's place."""
    both, replies = said
    winner = pairwise.settled(*both).winner
    if winner is None:
        return UNUSABLE
    if unsure is None:
        return ""
    doubts = {"border": winner == "tie", LOW_CONFIDENCE: any(is_unconfident(each, unsure) for each in replies)}
    return next((name for name, holds in doubts.items() if holds and name in unsure.when), "")


def _preference(reply: Reply, a: Matter, b: Matter) -> Preference:
    return pairwise.preference_of(reply.text, shown=(a, b))


def _again(asked: Asked, reply: Reply, what: str) -> Sequence[Any]:
    return asking.retry_messages(list(asked.messages), reply.text, what)
