"""Stories played: what the model is asked turn by turn, and what its replies are held against."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import model_of

from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.records import Reply, Score
from pytest_llmbench.stories import Story, play, read, whole

TALK = r"""Story: Money back
System: Be brief.
User: My lamp is broken.
Assistant: I am /\bsorry\b/i. A /refund/?
User: Yes.
Assistant: (anything)
User: When?
Assistant: Within /14 days/.
"""


def story(tmp_path: Path, text: str = TALK) -> Story:
    """The story of a text."""
    file = tmp_path / "a.story.txt"
    file.write_text(text)
    return read(file)[0]


class Scripted:
    """A model that says what it was told to say, and remembers what it was asked."""

    def __init__(self, *said: str) -> None:
        self._said = iter(said)
        self.asked: list[list[dict]] = []

    def __call__(self, messages: list[dict]) -> Reply:
        self.asked.append(messages)
        return Reply(text=next(self._said), model="demo/scripted")


def test_the_conversation_goes_on_with_the_models_own_replies(tmp_path):
    """Not with what the story would have it say; and without the reasoning it put before."""
    model = Scripted("<think>Hm.</think>\nSorry! A refund?", "Good.", "Within 14 days.")
    scores = play(story(tmp_path), model)
    assert [(each.name, each.value, each.passed) for each in scores] == [("turn 1", 1.0, True), ("turn 3", 1.0, True)]
    assert [len(asked) for asked in model.asked] == [2, 4, 6]
    assert model.asked[-1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My lamp is broken."},
        {"role": "assistant", "content": "Sorry! A refund?"},
        {"role": "user", "content": "Yes."},
        {"role": "assistant", "content": "Good."},
        {"role": "user", "content": "When?"},
    ]


def test_all_patterns_of_a_turn_must_match(tmp_path):
    """The value tells how many did, the reason which did not."""
    scores = play(story(tmp_path), Scripted("Sorry.", "", "…"))
    first = scores[0]
    assert (first.value, first.passed) == (0.5, False)
    assert first.reason == "no match for /refund/"
    assert first.details["patterns"] == {r"/\bsorry\b/i": True, "/refund/": False}


def test_flags_behind_a_pattern_count(tmp_path):
    """Case matters unless i is there; ^ and . know lines with m and s."""
    text = "Story: S\nUser: u\nAssistant: /yes/ /YES/i /^no$/m /yes.no/s /yes.no/\n"
    [score] = play(story(tmp_path, text), Scripted("yes\nno"))
    assert list(score.details["patterns"].values()) == [True, True, True, True, False]


def test_a_story_does_not_go_on_from_an_empty_reply(tmp_path):
    """What was never asked is unscored, not wrong."""
    model = Scripted("", "never", "never")
    first, third = play(story(tmp_path), model)
    assert len(model.asked) == 1
    assert (first.passed, first.value) == (False, 0.0)
    assert (third.state, third.value, third.passed) == ("unscored", None, None)
    assert "the reply of turn 1 is empty" in third.reason


def test_a_story_is_played_over_http(tmp_path):
    """`model.ask` takes the conversation as it is; its replies come back to it."""
    with DemoProvider([Answer("I am sorry. A refund?"), Answer("Good."), Answer("Within 14 days.")]) as provider:
        scores = play(story(tmp_path), model_of(provider).ask)
        roles = [[message["role"] for message in call.body["messages"]] for call in provider.log]
    assert all(each.passed for each in scores)
    assert roles[-1] == ["system", *["user", "assistant"] * 2, "user"]


def test_an_infra_error_is_none_of_the_storys(tmp_path):
    """It rises to whoever plays: no reply is no wrong reply."""
    with DemoProvider([Answer("I am sorry. A refund?"), Failure(503)]) as provider, pytest.raises(WireError) as failed:
        play(story(tmp_path), model_of(provider).ask)
    assert failed.value.category == Category.OVERLOADED


def test_a_pattern_that_does_not_come_to_an_end_is_its_own_error(tmp_path):
    """Neither right nor wrong, and the test goes on."""
    text = "Story: S\nUser: u\nAssistant: /^(a|aa)+$/\nUser: v\nAssistant: /b/\n"
    first, second = play(story(tmp_path, text), Scripted("a" * 5000 + "c", "b"))
    assert (first.state, first.value) == ("error", None)
    assert "the pattern" in first.reason or "a pattern" in first.reason
    assert second.passed


def test_a_story_as_a_whole_passes_where_all_its_turns_do(tmp_path):
    """Its value is their mean, its reason names those that failed."""
    told = story(tmp_path)
    good, bad = Score("turn 1", value=1.0, passed=True), Score("turn 3", value=0.5, passed=False, reason="no match")
    failed = whole(told, [good, bad])
    assert (failed.name, failed.value, failed.passed, failed.reason) == ("Money back", 0.75, False, "turn 3: no match")
    assert whole(told, [good, good]).passed
    broken = whole(told, [good, Score("turn 3", state="error", reason="too slow")])
    assert (broken.state, broken.value, broken.reason) == ("error", None, "turn 3: too slow")


def test_turns_that_never_came_leave_a_story_failed(tmp_path):
    """A conversation that broke off for an empty reply was not had."""
    told = story(tmp_path)
    assert whole(told, play(told, Scripted(""))).passed is False
