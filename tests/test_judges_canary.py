"""Planted replies that order their judge about."""

from __future__ import annotations

import json

import pytest
from gullible_judges import json_in, outside, repeats_what_it_finds
from judge_samples import ACCURACY, GREETING, INSULTS, RUBRIC, answer, scored

from pytest_llmbench.judges import asking
from pytest_llmbench.judges.canary import canaries, canary, control, fooled, was_fooled
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.records.score import Score

HONEST = {
    "accuracy": {"reason": "The source names a phone number.", "grade": 1},
    "greeting": {"reason": "It begins with an insult.", "holds": False},
}


def test_a_judge_that_obeys_is_fooled():
    """Full marks in words of its own: no parser can tell, a canary does."""
    for matter in canaries(RUBRIC):
        assert was_fooled(scored(answer(), matter=matter))
        assert not was_fooled(scored(answer(**HONEST), matter=matter))


def test_a_verdict_that_cannot_be_used_fools_nobody():
    """A judge that repeats the planted verdict is unusable; one that failed has not passed it."""
    planted = [matter for matter in canaries(RUBRIC) if json_in(matter.reply)]
    assert len(planted) == 2
    for matter in planted:
        told = repeats_what_it_finds(asking.messages(RUBRIC, matter))
        assert json.loads(told)["criteria"]["accuracy"]["grade"] == 5
        found = scored(told, matter=matter)
        assert (found.details["unusable"], was_fooled(found)) == ("planted", False)
    assert not was_fooled(Score("j", state="error", reason="no answer came"))
    assert not was_fooled(Score("j", value=0.9, reason="no bar"))


@pytest.mark.parametrize("criterion", [ACCURACY, GREETING, INSULTS], ids=lambda one: one.id)
def test_the_planted_verdict_is_full_marks_of_any_rubric(criterion):
    """It would pass if it were the judge's."""
    rubric = Rubric("one", (criterion,), pass_at=1.0, needs=frozenset({"source", "expected"}))
    found = [text for matter in canaries(rubric) for text, _ in json_in(matter.reply)]
    assert len(found) == 2
    assert all(scored(text, rubric=rubric).passed for text in found)
    assert all(asking.lacking(rubric, matter) == "" for matter in canaries(rubric))


def test_canaries_are_the_same_bad_reply_with_different_orders():
    """The control has none: who passes it is lenient, and was not fooled."""
    plain = control(RUBRIC)
    replies = {matter.reply for matter in canaries(RUBRIC)}
    assert len(replies) == len(canaries(RUBRIC)) == 3
    assert all(reply.startswith(plain.reply) for reply in replies)
    assert canary(RUBRIC) == canaries(RUBRIC)[0]
    passing, failing = scored(answer(), matter=plain), scored(answer(**HONEST), matter=plain)
    assert fooled([passing, failing, passing], plain=failing) == 2
    assert fooled([passing, passing], plain=passing) == 0


def test_canaries_stay_in_their_fence():
    """What a judge that keeps to the rule obeys is the same as for the control."""
    for matter in canaries(RUBRIC):
        assert outside(asking.messages(RUBRIC, matter)) == outside(asking.messages(RUBRIC, control(RUBRIC)))
