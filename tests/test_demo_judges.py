"""The demo provider's judges: verdicts of the form that was asked for, and the faults that they are known by."""

from __future__ import annotations

import pytest

from pytest_llmbench.demo import personas
from pytest_llmbench.demo.conduct import Conduct
from pytest_llmbench.demo.judging import HABITS
from pytest_llmbench.judges import asking, pairwise
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.verdict import score_of
from pytest_llmbench.records import Score

RUBRIC = Rubric(
    "demo",
    (
        Criterion("right", "It says what is expected.", scale={1: "no word of it", 5: "all of it"}),
        Criterion("whole", "Nothing is missing.", kind="yes-no"),
        Criterion("slips", "Passages that are wrong.", kind="violations"),
    ),
)
GOOD, BAD = "The parcel arrives on Monday", "I cannot tell you anything"
PAIRS = [(number, GOOD if number % 2 else BAD) for number in range(200)]


def matter(number: int, reply: str) -> Matter:
    return Matter(f"Question {number}: when?", f"{reply}, says number {number}.", expected="parcel arrives Monday")


def answer(who: str, messages: asking.Messages, fields: dict[str, object], conduct: Conduct | None = None) -> str:
    return personas.PERSONAS[who].answer({"messages": messages, **fields}, conduct or Conduct()).text


def judged(who: str, what: Matter, conduct: Conduct | None = None) -> Score:
    fields = asking.request_fields(RUBRIC, can_schema=True)
    text = answer(who, asking.messages(RUBRIC, what), fields, conduct)
    return score_of(RUBRIC, text, judge=f"demo/{who}", matter=what)


def passed(who: str) -> list[bool | None]:
    return [judged(who, matter(*pair)).passed for pair in PAIRS]


TRUTH = [reply == GOOD for _, reply in PAIRS]


@pytest.mark.parametrize("who", sorted(set(HABITS) - {"judge-silent"}))
def test_their_verdicts_can_always_be_used(who: str) -> None:
    """All criteria, each in the form of its kind."""
    scores = [judged(who, matter(*pair)) for pair in PAIRS[:40]]
    assert {score.state for score in scores} == {"scored"}
    assert all(len(score.parts) == len(RUBRIC.criteria) for score in scores)


def test_the_honest_one_is_right_on_nineteen_of_twenty_and_its_twin_errs_where_it_errs() -> None:
    """So two of them are worth one vote."""
    verdicts = passed("judge")
    right = sum(told is truth for told, truth in zip(verdicts, TRUTH, strict=True))
    assert 180 <= right < 200
    assert passed("judge-twin") == verdicts


def test_the_lenient_one_passes_what_is_bad() -> None:
    """Nine of ten, while it takes what is good for good."""
    verdicts = passed("judge-lenient")
    bad = [told for told, truth in zip(verdicts, TRUTH, strict=True) if not truth]
    assert sum(told is True for told in bad) > 0.8 * len(bad)


def test_the_one_that_loves_length_passes_a_long_bad_reply_and_fails_a_short_good_one() -> None:
    """Whatever is said."""
    long, short = matter(1, BAD + " at all" * 100), matter(2, GOOD)
    assert judged("judge-long", long).passed is True
    assert judged("judge-long", short).passed is False


def test_the_silent_one_gives_no_verdict_on_three_of_ten() -> None:
    """It is unscored, and no zero."""
    states = [judged("judge-silent", matter(*pair)).state for pair in PAIRS]
    assert 40 <= states.count("unscored") <= 80


@pytest.mark.parametrize(("who", "flips"), [("judge", False), ("judge-first", True)])
def test_the_one_that_likes_the_first_place_names_it_in_both_orders(who: str, flips: bool) -> None:
    """Asked in both orders it gives itself away."""
    a, b = matter(1, GOOD), matter(1, BAD)
    told = []
    for order in ("ab", "ba"):
        text = answer(who, pairwise.messages(RUBRIC, a, b, order), pairwise.request_fields(can_schema=True))
        told.append(pairwise.preference_of(text, shown=(a, b)))
    assert pairwise.settled(*told).flipped is flips


def test_the_trait_accuracy_makes_them_worse() -> None:
    """As of the other personas."""
    worse = [judged("judge", matter(*pair), Conduct(accuracy=0.5)).passed for pair in PAIRS]
    right = sum(told is truth for told, truth in zip(worse, TRUTH, strict=True))
    assert 70 <= right <= 130


def test_without_a_schema_there_is_nothing_to_judge_by() -> None:
    """It says so in prose."""
    what = matter(1, GOOD)
    text = answer("judge", asking.messages(RUBRIC, what), {})
    assert score_of(RUBRIC, text, judge="demo/judge", matter=what).state == "unscored"
