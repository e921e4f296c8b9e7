"""Validators that read an answer out of a reply: numbers, labels, choices; and sets of labels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.checks import CHECKS, check

LABELS = ["bug", "question", "praise"]


@pytest.mark.parametrize(
    ("spec", "reply", "expected", "passed"),
    [
        ("number", "The answer is 12.", 12, True),
        ("number", "12 or 13", 12, False),
        ({"number": {"within": 0.5}}, "about 12.4", "12", True),
        ({"number": {"within": 0.5}}, "about 12.6", "12", False),
        ({"number": {"relative": 0.05}}, "105", 100, True),
        ({"number": {"relative": 0.05}}, "106", 100, False),
        ({"number": {"relative": 0.05}}, "-105", -100, True),
        ({"number": {"equals": 0.5}}, "1/2", None, True),
        ({"check": "number:0.01"}, "3.14", 3.142, True),
        ({"check": "text"}, "The capital is Paris.", "Paris", True),
        ({"check": {"name": "choice", "options": ["London", "Paris"]}}, "B) Paris", "B", True),
        ({"one-of": ["billing", "shipping"]}, "It goes to Billing.", "billing", True),
        ({"one-of": ["billing", "shipping"]}, "billing or shipping", "billing", False),
        ({"choice": ["London", "Paris"]}, "Paris", "B", True),
        ("yes-no", "Yes, it is.", True, True),
        ("yes-no", "No.", "no", True),
        ({"yes-no": "no"}, "Yes", None, False),
        ({"labels": LABELS}, "bug, praise", ["praise", "bug"], True),
        ({"labels": LABELS}, '["Bug"]', "bug", True),
        ({"labels": LABELS}, "- bug\n- praise\n", "praise; bug", True),
        ({"labels": LABELS}, "1. bug", ["praise"], False),
    ],
)
def test_an_answer_is_found_in_its_reply(spec, reply, expected, passed):
    """However it is put; two answers are none."""
    assert scored(spec, reply, expected).passed is passed


def test_options_may_stand_in_a_column():
    """Each sample with its own."""
    metadata = {"options": ["London", "Paris"], "cities": ["Rome", "Oslo"]}
    assert scored("choice", "b", "B", metadata=metadata).passed
    assert scored({"choice": {"options": "cities"}}, "Oslo", "B", metadata=metadata).passed
    assert scored({"one-of": "cities"}, "Oslo", "Oslo", metadata=metadata).passed
    assert defects({"choice": {"options": "cities"}}, "C", metadata=metadata) == [
        "the answer 'C' is not one of the letters A, B"
    ]


@settings(max_examples=200, deadline=None)
@given(
    given_=st.decimals(-(10**6), 10**6, places=3),
    wanted=st.decimals(-(10**6), 10**6, places=3),
    within=st.integers(0, 9),
)
def test_a_tolerance_is_an_absolute_difference(given_, wanted, within):
    """Exactly, at its edge too: no floating point in between."""
    found = scored({"number": {"within": within}}, f"{given_}", f"{wanted}")
    assert found.passed is (abs(given_ - wanted) <= within)


@settings(max_examples=100, deadline=None)
@given(given_=st.sets(st.sampled_from(LABELS), min_size=1), wanted=st.sets(st.sampled_from(LABELS), min_size=1))
def test_labels_are_worth_their_f1(given_, wanted):
    """2 · precision · recall / (precision + recall)."""
    found = scored({"labels": LABELS}, ", ".join(sorted(given_)), sorted(wanted))
    hits = len(given_ & wanted)
    precision, recall = hits / len(given_), hits / len(wanted)
    assert found.value == pytest.approx(2 * precision * recall / (precision + recall) if hits else 0)
    assert found.passed is (given_ == wanted)


def test_expected_answers_outside_of_the_labels_are_defects():
    """No reply could be right."""
    assert defects({"one-of": ["a1", "b1"]}, "c1") == ["the answer 'c1' is not one of the options"]
    assert defects({"labels": LABELS}, ["bug", "bugs"]) == [
        "the expected label 'bugs' is not one of bug, question, praise"
    ]
    assert defects("number", "many") == ["the answer 'many' is not a number"]
    for spec in ("number", "yes-no", {"one-of": ["a1", "b1"]}, {"labels": LABELS}, {"check": "text"}):
        assert defects(spec) == ["the sample has no expected answer"]
        assert scored(spec, "a").state == "unscored"


def test_labels_that_nobody_knows_are_told():
    """So that a report can count what models make up."""
    assert scored({"labels": LABELS}, "bug, rant", ["bug"]).details["unknown"] == ["rant"]


@pytest.mark.parametrize("name", [name for name, each in CHECKS.items() if not each.takes_argument and name != "code"])
def test_every_check_of_the_quality_profile_is_a_validator(name):
    """With the same verdict."""
    options = ("London", "Paris")
    for reply in ("A", "London", "yes", "no such thing", ""):
        wanted = check(name, reply, "A", options).correct
        assert scored({"check": {"name": name, "options": list(options)}}, reply, "A").passed is wanted


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"check": "nmber"}, "there is no check 'nmber'; did you mean 'number'?"),
        ({"check": "code"}, "cannot be scored by the check 'code'"),
        ({"check": "text:x"}, "has an argument that 'text' does not take"),
        ("check", "there is no check ''"),
        ({"number": {"within": -1}}, "validators[0].number.within"),
        ({"number": {"within": 1, "relative": 1}}, "one of them is enough"),
        ({"number": 5}, "must be a mapping with some of equals, within, relative"),
        ("one-of", "needs the labels to choose from"),
        ({"one-of": ["a"]}, "needs the labels to choose from"),
        ({"labels": []}, "must not be empty"),
        ("labels", "needs the labels there are"),
        ({"yes-no": "perhaps"}, "must be yes or no"),
    ],
)
def test_wrong_arguments_are_refused_with_their_place(spec, said):
    """And what would be right."""
    with pytest.raises(ConfigError) as refused:
        made(spec)
    assert said in str(refused.value)
