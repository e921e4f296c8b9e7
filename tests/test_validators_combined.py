"""`any`, `all` and `weighted`: three answers, not two."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Score
from pytest_llmbench.validators.combined import AnyAll, Weighted
from pytest_llmbench.validators.declared import Declared
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.scorer import Plain, Validator

RIGHT = Score("", value=1.0, passed=True)
WRONG = Score("", value=0.0, passed=False)
UNSCORED = Score("", state="unscored")
FAILED = Score("", state="error")


def parts(*scores: Score, weights: tuple[float, ...] = ()) -> tuple[Declared, ...]:
    """Validators that say what they are told to."""
    made_of = itertools.zip_longest(scores, weights[: len(scores)], fillvalue=1.0)
    kind = Validator("told", "", lambda _a, _w: Plain(lambda _m: RIGHT))
    return tuple(
        Declared(f"part-{place}", "told", kind, Plain(lambda _m, score=score: score), weight)
        for place, (score, weight) in enumerate(made_of)
    )


@pytest.mark.parametrize(
    ("scores", "any_", "all_"),
    [
        ((RIGHT, RIGHT), True, True),
        ((RIGHT, WRONG), True, False),
        ((WRONG, WRONG), False, False),
        ((RIGHT, UNSCORED), True, None),
        ((WRONG, UNSCORED), None, False),
        ((UNSCORED, UNSCORED), None, None),
    ],
)
def test_a_part_that_nobody_could_score_decides_nothing(scores, any_, all_):
    """Where the others decide without it, they do."""
    for every, wanted in ((False, any_), (True, all_)):
        found = AnyAll(parts(*scores), every).score(Material())
        assert found.passed is wanted
        assert (found.state == "scored") is (wanted is not None)
        assert len(found.parts) == 2


def test_an_error_outranks_what_is_only_unscored():
    """The reader must hear of it."""
    assert AnyAll(parts(UNSCORED, FAILED), every=False).score(Material()).state == "error"


def test_what_was_run_counts_as_run_where_it_decides():
    """A schema that failed decides an `all`; one that did not matter does not."""
    ran_wrong = Score("", value=0.0, passed=False, executed=True)
    assert AnyAll(parts(RIGHT, ran_wrong), every=True).score(Material()).executed
    assert not AnyAll(parts(RIGHT, ran_wrong), every=False).score(Material()).executed


def test_a_weighted_mean_is_as_its_weights_say():
    """Three parts exact, one part contains."""
    spec = {"weighted": {"of": [{"exact": None, "weight": 3}, {"contains": "r"}], "at_least": 0.7}}
    assert scored(spec, "rr", "yes").value == 0.25
    assert not scored(spec, "rr", "yes").passed
    assert scored(spec, "r", "r").passed


def test_a_mean_without_one_of_its_parts_would_be_of_something_else():
    """So it is unscored; a part without weight is not missed."""
    assert Weighted(parts(RIGHT, UNSCORED)).score(Material()).state == "unscored"
    assert Weighted(parts(RIGHT, UNSCORED, weights=(1.0, 0.0))).score(Material()).value == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e5)), min_size=1, max_size=8))
def test_a_weighted_mean_lies_between_its_parts(pairs):
    """Whatever the weights are; and `any` and `all` are its bounds."""
    if not sum(weight for _value, weight in pairs):
        return
    scores = [Score("", value=value, passed=value > 0.5) for value, _weight in pairs]
    weights = tuple(weight for _value, weight in pairs)
    mean = Weighted(parts(*scores, weights=weights)).score(Material()).value
    assert AnyAll(parts(*scores), every=True).score(Material()).value <= mean + 1e-9
    assert mean - 1e-9 <= AnyAll(parts(*scores), every=False).score(Material()).value


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_de_morgan_holds(passes):
    """Not any is all not."""
    specs = [{"contains": "a"} if passed else {"contains": "b"} for passed in passes]
    inverted = [{f"not-{name}": text for name, text in spec.items()} for spec in specs]
    assert scored({"not-any": specs}, "a").passed is scored({"all": inverted}, "a").passed
    assert scored({"not-all": specs}, "a").passed is scored({"any": inverted}, "a").passed


def test_combinations_nest():
    """And say which part decided."""
    found = scored(
        {"all": [{"any": ["exact", {"contains": "refund"}]}, {"not-contains": "sorry"}]}, "sorry, refund", "x"
    )
    assert not found.passed
    assert found.reason == "not-contains: inverted: the reply contains 'sorry'"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"any": []}, "must be a list of validators"),
        ({"any": None}, "must be a list of validators"),
        ({"any": "exact"}, "must be a list of validators"),
        ({"all": ["exat"]}, "validators[0].all[0]: there is no validator"),
        ({"all": ["exact", {"contains": 1}]}, "validators[0].all[1].contains: must be text"),
        ({"any": [{"weighted": {"of": ["exact"]}}]}, "'weighted' only measures"),
        ({"weighted": None}, "needs the validators to weigh"),
        ({"weighted": {"of": [{"exact": None, "weight": 0}]}}, "all weights are 0"),
        ({"weighted": {"of": ["nothing"]}}, "validators[0].weighted.of[0]: there is no validator"),
    ],
)
def test_a_wrong_part_is_refused_where_it_stands(spec, said):
    """However deep."""
    with pytest.raises(ConfigError) as refused:
        made(spec)
    assert said in str(refused.value)


def test_defects_of_the_parts_come_with_their_names():
    """So that the page's author finds them."""
    assert defects({"any": ["exact", {"one-of": ["a", "b"]}]}, "c") == [
        "one-of: the answer 'c' is not one of the options"
    ]
