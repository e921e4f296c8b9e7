"""Validators of one's own: registered in Python, then named like any other."""

from __future__ import annotations

import pytest
from scorers import defects, made, scored

import pytest_llmbench
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.records import Sample, Score
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.own import register
from pytest_llmbench.validators.registry import VALIDATORS


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(VALIDATORS, "_loaded", dict(VALIDATORS._loaded))


def test_a_function_is_a_validator_by_its_name():
    """It gets the reply's text and the sample."""

    @pytest_llmbench.validator
    def is_polite(reply_text, sample):
        """Says please.

        More about it.
        """
        return "please" in reply_text and sample.expected == "x"

    assert VALIDATORS["is-polite"].about == "Says please."
    assert scored("is-polite", "please", "x").passed is True
    assert scored("not-is-polite", "please", "x").passed is False
    assert scored({"any": ["is-polite", "exact"]}, "x", "x").passed
    assert is_polite("please", Sample("1", "a", "x"))


def test_a_function_may_measure_and_take_an_argument():
    """A limit is declared like any other's; the rest of the argument is the function's."""

    @pytest_llmbench.validator(name="share-of", about="the share of a letter")
    def share(reply_text, _sample, argument):
        return reply_text.count(argument["letter"]) / max(1, len(reply_text))

    assert scored({"share-of": {"letter": "a"}}, "aab").value == pytest.approx(2 / 3)
    assert scored({"share-of": {"letter": "a"}}, "aab").passed is None
    assert scored({"share-of": {"letter": "a", "at_least": 0.5}}, "aab").passed
    assert share("a", None, {"letter": "a"}) == 1


def test_a_function_gets_the_sample_itself():
    """With its id and columns, where there is one."""
    seen = []
    register("seen", lambda _text, sample: bool(seen.append(sample) or True))
    sample = Sample("s-1", "asked", "wanted", {"tag": "a"})
    made("seen").score(Material.of(sample, "reply"))
    assert seen == [sample]


@pytest.mark.parametrize("found", ["yes", None, 2, -0.5, float("nan"), [], {"passed": True}])
def test_what_no_score_can_be_made_of_is_an_error(found):
    """Not a wrong reply."""
    register("odd", lambda _text, _sample: found)
    assert scored("odd", "a").state == "error"


def test_what_it_raises_is_its_own_fault():
    """The reply may be right."""
    register("broken", lambda text, _sample: text[99])
    found = scored("broken", "a")
    assert (found.state, found.value) == ("error", None)
    assert "IndexError" in found.reason
    assert defects("broken", "a") == []


def test_it_may_make_the_whole_score():
    """Its name and weight are still those declared."""
    register("whole", lambda _text, _sample: Score("mine", value=0.5, passed=True, reason="half", details={"a": 1}))
    found = scored({"whole": None, "name": "w", "weight": 2}, "")
    assert found == Score("w", value=0.5, passed=True, weight=2, reason="half", details={"a": 1})


@pytest.mark.parametrize("name", ["exact", "sql", "not-mine", "Mine", "mine_too", "", "x" * 62])
def test_names_that_are_taken_or_none_are_refused(name):
    """What use cases mean must not depend on who was imported first."""
    with pytest.raises(UsageError):
        register(name, lambda _text, _sample: True)


def test_an_argument_for_a_function_that_takes_none_is_refused():
    """With the place."""
    register("plain-one", lambda _text, _sample: True)
    with pytest.raises(ConfigError, match=r"validators\[0\]\.plain-one: 'plain-one' takes no argument"):
        made({"plain-one": 3})
