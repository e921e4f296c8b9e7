"""Time stamps in order and within limits, and how long ranges of time are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_validators import scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators import time_marks

CHAPTERS = "00:00 - 00:40 Welcome\n00:40 - 05:10 Figures\n05:10 - 10:00 Questions"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("00:10 - 00:20", [(10, 20)]),
        ("[00:10] Hello [1:02:03.5]", [(10, None), (3723.5, None)]),
        ("00:00:01,000 --> 00:00:04,250", [(1, 4.25)]),
        ("from 0:10 to 0:20", [(10, 20)]),
        ("start,end,title\n00:10,00:50,Intro\n00:50,01:00,Rest", [(10, 50), (50, 60)]),
        ("00:10\t00:50\tIntro", [(10, 50)]),
        ('[{"start": "0:10", "end": "0:20"}, {"start_s": 20, "end_s": 30.5}]', [(10, 20), (20, 30.5)]),
        ('```json\n{"clips": [{"from": 5, "to": 7}]}\n```', [(5, 7)]),
        ("1h02m03s and 3m05s", [(3723, None), (185, None)]),
        ("at 12:75, in 2026:12:1999", []),
        ("no time", []),
    ],
)
def test_time_stamps_are_read_from_the_forms_they_come_in(text: str, spans: list[tuple[float, float | None]]) -> None:
    """Subtitles, chapters, tables, JSON."""
    assert [(span.start_s, span.end_s) for span in time_marks.spans(text)] == spans


def test_time_stamps_in_order_pass() -> None:
    """Within the source's time, and one after the other."""
    found = scored("timestamps", CHAPTERS, None, {"within": "source", "overlap": False}, source="0:00 a\n10:00 b")
    assert found.passed
    assert found.details["count"] == 3


@pytest.mark.parametrize(
    ("reply", "argument", "told"),
    [
        (CHAPTERS, {"within": "9:00"}, "lies outside 0:00 to 9:00"),
        (CHAPTERS, {"within": [60, "10:00"]}, "lies outside 1:00 to 10:00"),
        ("05:00 a\n04:00 b", None, "stands after '05:00' and lies before it"),
        ("05:00 - 04:00 a", None, "ends before it begins"),
        ("05:00 a", {"ranges": True}, "has no end"),
        ("00:10 - 00:20\n00:15 - 00:30", {"overlap": False}, "begins before '00:10 - 00:20' has ended"),
        ("no time", None, "0 time stamps, asked: at least 1"),
        (CHAPTERS, {"count": {"at_most": 2}}, "3 time stamps, asked: at most 2"),
    ],
)
def test_time_stamps_that_break_a_rule_are_told(reply: str, argument: Any, told: str) -> None:
    """With the time stamp that does."""
    found = scored("timestamps", reply, None, argument)
    assert found.passed is False
    assert told in found.reason


def test_the_share_of_good_time_stamps_is_the_value() -> None:
    """One of three is out of order."""
    assert scored("timestamps", "1:00 a\n3:00 b\n2:00 c").value == pytest.approx(2 / 3)


def test_out_of_order_is_allowed_where_it_is_said() -> None:
    """A list of highlights need not be in order."""
    assert scored("timestamps", "3:00 b\n2:00 c", None, {"ordered": False}).passed


def test_a_source_without_time_stamps_is_a_defect() -> None:
    """There is nothing to be within."""
    assert scored("timestamps", "", None, {"within": "source"}, defects=True, source="none")


def test_lengths_of_time_keep_their_limits() -> None:
    """Each range, and all together."""
    assert scored("durations", CHAPTERS, None, {"each": {"at_least": 40, "at_most": "5:00"}, "total": "10:00"}).passed
    found = scored("durations", CHAPTERS, None, {"each": {"at_most": "1:00"}})
    assert found.passed is False
    assert "'00:40 - 05:10' takes 270 s" in found.reason
    found = scored("durations", CHAPTERS, None, {"total": {"at_most": "5:00"}})
    assert found.reason == "together 600 s, asked: at most 300 s"
    assert found.details["total_s"] == 600


def test_a_reply_without_ranges_of_time_has_no_lengths() -> None:
    """A list of starts is none of what was asked."""
    assert scored("durations", "1:00\n2:00", None, {"total": 60}).passed is False


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("timestamps", {"within": "tomorrow"}),
        ("timestamps", {"within": ["5:00", "1:00"]}),
        ("timestamps", {"sorted": True}),
        ("durations", None),
        ("durations", {"each": {"at_least": "5:00", "at_most": "1:00"}}),
        ("durations", {"total": "soon"}),
        ("durations", {"total": {}}),
    ],
)
def test_a_wrong_rule_of_time_is_an_error_with_its_place(name: str, argument: Any) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=r"validators\.0"):
        scored(name, CHAPTERS, None, argument)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 86_000), min_size=1, max_size=20))
def test_sorted_time_stamps_are_in_order_and_no_others(marks: list[int]) -> None:
    """Whatever the times are."""
    reply = "\n".join(f"[{time_marks.shown(mark)}] x" for mark in marks)
    assert scored("timestamps", reply).passed is (marks == sorted(marks))
