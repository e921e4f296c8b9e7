"""Ratings that people gave: they count for the reply that was rated, and for no other."""

from __future__ import annotations

import pytest
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError


@pytest.mark.parametrize(
    ("cell", "value", "passed"),
    [(5, 1.0, True), (4, 0.75, True), ("4", 0.75, True), ("3.5", 0.625, False), (1, 0.0, False)],
)
def test_a_rating_is_worth_its_place_on_the_scale(cell, value, passed):
    """Text of a CSV is a number, too; the limit is in stars, as people say it."""
    spec = {"rating": {"column": "stars", "scale": [1, 5], "at_least": 4}}
    found = scored(spec, "any", metadata={"stars": cell})
    assert (found.value, found.passed, found.details["rating"]) == (value, passed, float(cell))


def test_without_a_limit_a_rating_decides_nothing():
    """It is shown beside the verdicts of others."""
    found = scored("rating", "any", metadata={"rating": 2})
    assert (found.value, found.passed) == (0.25, None)
    assert scored({"rating": "stars"}, "any", metadata={"stars": 3}).value == 0.5


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_an_empty_cell_is_unscored(cell):
    """Nobody said anything, which is not a bad rating; the lint has nothing against it."""
    found = scored("rating", "any", metadata={"rating": cell})
    assert (found.state, found.value, found.reason) == ("unscored", None, "nobody rated it")
    assert defects("rating", metadata={"rating": cell}) == []


def test_a_column_that_is_not_there_is_unscored_and_near_names_are_offered():
    """A name mistyped makes no rating of 0."""
    found = scored({"rating": "star"}, "any", metadata={"stars": 3})
    assert (found.state, found.reason) == ("unscored", "the sample has no column 'star'; did you mean 'stars'?")


@pytest.mark.parametrize("cell", ["great", 0, 6, "nan", "inf", True, [5], {"a": 1}])
def test_what_is_no_rating_of_the_scale_is_unscored_and_told_by_the_lint(cell):
    """A 0 on a scale from 1 to 5 is a mistake of the data, not the worst rating."""
    assert scored("rating", "any", metadata={"rating": cell}).state == "unscored"
    [told] = defects("rating", metadata={"rating": cell})
    assert told.endswith("which is no rating from 1 to 5")


def test_thumbs_are_ratings_from_0_to_1():
    """True is up."""
    spec = {"rating": {"column": "thumb", "scale": [0, 1], "at_least": 1}}
    assert scored(spec, "any", metadata={"thumb": True}).passed
    assert scored(spec, "any", metadata={"thumb": False}).passed is False


def test_a_rating_counts_for_the_reply_that_was_rated_and_no_other():
    """How people liked one answer does not tell how they would like the next."""
    said = {"rating": 5, "reply": "We refund you.\n", "shown": "Ask the bank."}
    assert scored("rating", "<think>hm</think>We refund you.", metadata=said).value == 1.0
    other = scored("rating", "Never.", metadata=said)
    assert (other.state, other.reason) == ("unscored", "people rated another reply than this one (column 'reply')")
    assert scored({"rating": {"reply": "shown"}}, "Ask the bank.", metadata=said).value == 1.0


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"scale": [5, 1]}, "validators[0].rating.scale: begins with the lowest rating"),
        ({"scale": [1]}, "rating.scale: must be the lowest and the highest rating"),
        ({"scale": ["a", "b"]}, "rating.scale: must be the lowest and the highest rating"),
        ({"scale": [0, float("inf")]}, "rating.scale: must be the lowest and the highest rating"),
        ({"colum": "x"}, "did you mean 'column'?"),
        ({"at_most": 3}, "rating is better where it is higher: at_least"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused_with_its_place(argument, said):
    """Before any reply is looked at."""
    with pytest.raises(ConfigError) as refused:
        made({"rating": argument})
    assert said in str(refused.value)
