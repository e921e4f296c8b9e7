"""No reply, however large or strange, makes a text validator raise, hang or answer outside 0 to 1."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_validators import hostile_texts, scorer

from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.registry import HOMES, VALIDATORS
from pytest_llmbench.validators.scorer import Scorer

MODULES = ("closeness", "guards", "time_ranges", "citing", "sizes", "speech", "refusing", "word_lists", "personal_data")
NAMES = [name for module in MODULES for name in HOMES[module]]
SOURCE = "[1] The cat sat on 12 March 2026 at 00:12, said Anna Schmidt; it cost 12,345.67 euros."


def _made(name: str) -> Scorer:
    argument = VALIDATORS[name].example
    if isinstance(argument, dict) and VALIDATORS[name].measure:
        argument = {key: value for key, value in argument.items() if key not in ("at_least", "at_most")}
    return scorer(name, argument)


def _check(found: object, name: str) -> None:
    score = json.loads(json.dumps(found.as_dict()))  # type: ignore[attr-defined]
    assert score["state"] in ("scored", "unscored"), (name, score)
    if score["state"] == "scored":
        assert 0 <= score["value"] <= 1, (name, score)
        assert not math.isnan(score["value"])
    assert len(score["reason"]) < 5_000, name


@pytest.mark.parametrize("name", NAMES)
def test_hostile_replies_are_scored(name: str) -> None:
    """Each kind of hostile text, at a size that a quadratic pattern would not survive within the time limit."""
    made = _made(name)
    for text in hostile_texts(30_000).values():
        _check(made.score(Material(reply_text=text, expected="positive", source=SOURCE)), name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*NAMES, "similarity"])
def test_megabytes_of_hostile_replies_are_scored(name: str) -> None:
    """A megabyte each; every validator gets a quarter of the kinds, every kind goes to a quarter of the validators."""
    made = _made(name)
    first = [*NAMES, "similarity"].index(name)
    for place, text in enumerate(hostile_texts(1_000_000).values()):
        if (place + first) % 4 == 0:
            _check(made.score(Material(reply_text=text, expected="positive", source=SOURCE)), name)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_sources_and_expected_answers_are_looked_at(name: str) -> None:
    """The data may be as strange as the reply: it is scored or told, never raised."""
    made = _made(name)
    for text in hostile_texts(5_000).values():
        _check(made.score(Material(reply_text="The cat sat [1] 00:12.", expected=text, source=text)), name)
        assert all(isinstance(each, str) for each in made.defects(Material(expected=text, source=text)))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_is_scored(reply: str, expected: str) -> None:
    """Text that nobody thought of."""
    for name in NAMES:
        _check(_made(name).score(Material(reply_text=reply, expected=expected, source=SOURCE)), name)
