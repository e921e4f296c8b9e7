"""A judge asked which of two replies is better, in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_llmbench.evaluations.judged import replies_of
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury
from pytest_llmbench.judges import asking, pairwise
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.pairwise import Order, Preference
from pytest_llmbench.records import Reply

_ORDERS: tuple[Order, Order] = ("ab", "ba")


class PairJury(Jury):
    """One judge that compares, by the criteria of a rubric."""

    def form(self, *, can_schema: bool, bounded: bool, thought_tokens: int) -> dict[str, Any]:
        return pairwise.request_fields(can_schema=can_schema, bounded=bounded, thought_tokens=thought_tokens)

    def of_pair(self, a: Matter, b: Matter, behalf: Behalf) -> list[Asked]:
        """What it is asked of a pair: `a` first, then `b` first."""
        [model] = self.models
        shown = ((order, (a, b) if order == "ab" else (b, a)) for order in _ORDERS)
        return [Asked(model, pairwise.messages(self.rubric, a, b, order), first, behalf) for order, (first, _) in shown]


def preferences(jury: PairJury, a: Matter, b: Matter, behalf: Behalf) -> tuple[Preference, Preference]:
    """What a judge says in both orders, `a` first and then `b` first; once more where that cannot be used.

    Raises:
        InfraError: it could not be asked.
    """
    asked = jury.of_pair(a, b, behalf)
    replies = replies_of(jury, asked)
    found = [_preference(each, a, b) for each in replies]
    again = {
        place: replace(asked[place], messages=_again(asked[place], replies[place], one.complaint))
        for place, one in enumerate(found)
        if one.complaint is not None
    }
    for place, reply in zip(again, replies_of(jury, list(again.values())), strict=True):
        found[place] = _preference(reply, a, b)
    return found[0], found[1]


def _preference(reply: Reply, a: Matter, b: Matter) -> Preference:
    return pairwise.preference_of(reply.text, shown=(a, b))


def _again(asked: Asked, reply: Reply, what: str) -> Sequence[Any]:
    return asking.retry_messages(list(asked.messages), reply.text, what)
