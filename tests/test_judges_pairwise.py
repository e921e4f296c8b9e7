"""Which of two replies is better, asked in both orders."""

from __future__ import annotations

import itertools
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import MATTER

from pytest_llmbench.judges import pairwise
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.pairwise import Preference, preference_of, settled

OTHER = Matter(MATTER.question, "It is lost.", MATTER.source, MATTER.expected)


def said(better: str | None) -> Preference:
    """A preference; None: of an answer that cannot be used."""
    text = json.dumps({"reason": "Clearer.", "better": better}) if better else "Both are fine."
    return preference_of(text, shown=(MATTER, OTHER))


@pytest.mark.parametrize(
    ("ab", "ba", "winner", "flipped"),
    [
        ("first", "second", "a", False),
        ("second", "first", "b", False),
        ("tie", "tie", "tie", False),
        ("first", "first", "tie", True),
        ("second", "second", "tie", True),
        ("first", "tie", "tie", False),
        ("tie", "second", "tie", False),
        (None, "first", None, False),
        ("first", None, None, False),
        (None, None, None, False),
    ],
)
def test_a_reply_wins_where_both_orders_say_so(ab, ba, winner, flipped):
    """The same place twice is a flip, and a tie; one usable answer alone decides nothing."""
    found = settled(said(ab), said(ba))
    assert (found.winner, found.flipped) == (winner, flipped)


def test_names_do_not_matter():
    """With the replies exchanged, the other letter wins, and flips stay flips."""
    swapped = {"a": "b", "b": "a", "tie": "tie", None: None}
    for ab, ba in itertools.product(["first", "second", "tie", None], repeat=2):
        one, other = settled(said(ab), said(ba)), settled(said(ba), said(ab))
        assert (other.winner, other.flipped) == (swapped[one.winner], one.flipped)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "first",
        '{"better": "first"}',
        '{"reason": "", "better": "first"}',
        '{"reason": "Clearer.", "better": "First"}',
        '{"reason": "Clearer.", "better": "a"}',
        '{"reason": "Clearer.", "better": ["first"]}',
        '{"reason": "Clearer.", "better": null}',
        '{"reason": "Clearer.", "better": "first", "score": 1}',
        '{"reason": "Clearer.", "better": "first", "better": "second"}',
        'I think {"reason": "Clearer.", "better": "first"}',
    ],
)
def test_what_is_not_exactly_a_preference_cannot_be_used(text):
    """It says why, for the one retry."""
    found = preference_of(text, shown=(MATTER, OTHER))
    assert found.better is None
    assert found.complaint
    assert found.reason == f"the verdict cannot be used: {found.complaint}"


def test_a_usable_preference_has_its_reason():
    """Reasoning and one fence are taken off, as of a verdict; a long reason is shortened."""
    found = preference_of(
        '<think>Hm.</think>```json\n{"reason": "Clearer.", "better": "second"}\n```', shown=(MATTER, OTHER)
    )
    assert (found.better, found.reason, found.complaint) == ("second", "Clearer.", None)
    long = json.dumps({"reason": "x" * 100_000, "better": "tie"})
    assert len(preference_of(long, shown=(MATTER, OTHER)).reason) < 1000


@settings(deadline=None)
@given(st.text() | st.builds(json.dumps, st.dictionaries(st.sampled_from(["reason", "better"]), st.text())))
def test_no_text_makes_it_raise(text):
    """Whatever a judge says; a place is only taken where it is one of three."""
    assert preference_of(text, shown=(MATTER, OTHER)).better in ("first", "second", "tie", None)


@pytest.mark.parametrize("bounded", [False, True])
def test_the_schema_takes_a_preference(bounded):
    """Reason first, one of three places."""
    schema = pairwise.schema(bounded=bounded)
    checker = jsonschema.Draft202012Validator(schema)
    assert list(schema["properties"]) == ["reason", "better"]
    assert checker.is_valid({"reason": "It is clearer.", "better": "tie"})
    assert not checker.is_valid({"reason": "It is clearer.", "better": "none"})
    fields = pairwise.request_fields(can_schema=True, bounded=bounded, thought_tokens=1000)
    assert fields["response_format"]["json_schema"]["schema"] == schema
    assert fields["max_tokens"] > 1000
    assert "response_format" not in pairwise.request_fields(can_schema=False)
