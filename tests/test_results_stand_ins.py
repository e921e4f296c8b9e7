"""Verdicts of routes as reports count them: who judged in whose place, and which count in spite of a doubt."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.records import Score
from pytest_llmbench.reports.judge_words import doubt_words, stand_in_words
from pytest_llmbench.results.stand_ins import doubtful, stand_ins


def verdict(judge: str, *tried: tuple[str, str, bool], state: Any = "scored") -> Score:
    """What a route's judge said, after others were asked: (model, why, unsure)."""
    told = [{"model": model, "why": why, "unsure": unsure} for model, why, unsure in tried]
    route = {"name": "route/careful", "models": ["a", "b", "c"], "first": "a", "tried": told}
    passed = True if state == "scored" else None
    return Score("route/careful", passed=passed, state=state, details={"judge": judge, "route": route}, judged=True)


def test_verdicts_that_count_in_spite_of_a_doubt_are_told_with_who_gave_no_better_one() -> None:
    """By doubt and by who was missing; fall-backs, sure verdicts and unusable ones are none of them."""
    said = [
        verdict("a", ("a", "border", True), ("b", "over_budget", False)),
        verdict("a", ("a", "border", True), ("b", "server", False), ("c", "over_budget", False)),
        verdict("a", ("a", "disagreement", True), ("b", "over_budget", False)),
        verdict("a"),
        verdict("b", ("a", "border", True)),
        verdict("b", ("a", "auth", False)),
        verdict("a", ("a", "unusable", True), ("b", "server", False), state="unscored"),
    ]
    [found] = doubtful(said)
    assert doubt_words(found) == (
        "3 of 7 verdicts are of a in spite of a doubt (border 2, disagreement 1): b: over_budget 2, b: server 1, "
        "c: over_budget 1"
    )
    assert [stand_in_words(each) for each in stand_ins(said)] == [
        "1 of 7 verdicts by b, since a was unsure (border)",
        "1 of 7 verdicts by the fall-back b (a: auth)",
    ]


def test_what_a_damaged_database_says_of_a_route_is_no_error() -> None:
    """It may hold anything."""
    strange: list[Any] = [None, 7, {"tried": "x"}, {"tried": [1, {}]}, {"tried": [{"model": "a"}]}]
    scores = [Score("judge", passed=True, details={"judge": "a", "route": each}, judged=True) for each in strange]
    assert [each.model for each in doubtful(scores)] == ["a"]
    assert all(each.model == "a" for each in stand_ins(scores))
