"""Any reply gets a verdict: no text stops a scorer, and none takes more than time in proportion to its length.

A pattern that takes the square of a megabyte runs into the test's time limit, whatever the machine.
"""

from __future__ import annotations

import pytest
from hostile_replies import CHECKS, PIECES, SIZE, repeated
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.validators import Verdict, check
from pytest_llmbench.validators.verdict import SHOWN

NASTIEST = ("a=", "1,", "answer: 12 ", "not the not the ", "a. ", "{,}", "\\text{", "\u0300\u0316")
EXTRACTING = [row for row in CHECKS if row[0] in ("number", "choice", "text")]

REPLIES = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=40).map("".join)


def name_of(row: tuple[str, str, tuple[str, ...]]) -> str:
    """How a check is called in a test's id."""
    return row[0].partition(":")[0]


def scored(row: tuple[str, str, tuple[str, ...]], reply: str) -> Verdict:
    """The verdict on a reply by one of the checks."""
    return check(row[0], reply, row[1], row[2])


@pytest.mark.parametrize("row", CHECKS, ids=name_of)
@settings(max_examples=150, deadline=None)
@given(reply=REPLIES)
def test_every_reply_gets_the_same_short_verdict_each_time(row, reply):
    """Lone surrogates, NUL, half open braces and all."""
    verdict = scored(row, reply)
    assert verdict == scored(row, reply)
    assert verdict.reason
    assert len(verdict.extracted or "") <= SHOWN + 1


@pytest.mark.parametrize("row", [row for row in CHECKS if row[0] != "code"], ids=name_of)
@settings(max_examples=60, deadline=None)
@given(thought=REPLIES.filter(lambda text: "<" not in text and ">" not in text))
def test_no_thought_before_an_answer_changes_its_verdict(row, thought):
    """Reasoning is not part of the answer."""
    plain = scored(row, row[1])
    assert scored(row, f"<think>{thought}</think>{row[1]}") == plain
    assert scored(row, f"{thought}</think>{row[1]}") == plain
    assert not scored(row, f"<think>{thought}{row[1]}").correct


@settings(max_examples=200, deadline=None)
@given(wanted=st.integers(-(10**9), 10**9), given_=st.integers(-(10**9), 10**9))
def test_a_whole_number_is_read_in_every_way_it_is_written(wanted, given_):
    """With and without commas, sign, full stop, unit, mark; and never taken for another."""
    for written in (
        f"{given_}",
        f"{given_:,}.",
        f"**{given_:,}** apples",
        f"Answer: {given_}.0",
        f"\\boxed{{{given_}}}",
    ):
        assert check("number", written, str(wanted)).correct is (wanted == given_)
        assert check("number", written, str(given_)).correct


@settings(max_examples=200, deadline=None)
@given(one=st.integers(0, 999), other=st.integers(0, 999), between=st.sampled_from([" or ", "\n", " and ", "-", ", "]))
def test_two_numbers_are_no_answer(one, other, between):
    """Whichever of them is the right one."""
    reply = f"{one}{between}{other}"
    assert check("number", reply, str(one)).correct is (one == other)
    assert check("number", reply, str(other)).correct is (one == other)


@pytest.mark.parametrize("row", EXTRACTING, ids=name_of)
@pytest.mark.parametrize("piece", NASTIEST)
def test_a_megabyte_that_is_hostile_is_scored(row, piece):
    """The short form of the test below."""
    assert scored(row, repeated(piece)).reason


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", CHECKS, ids=name_of)
def test_a_long_run_of_anything_is_scored(row):
    """Of every piece, by every check, behind a word and before an answer."""
    for piece in PIECES:
        assert scored(row, f"x {repeated(piece, SIZE // 4)}\n{row[1]}").reason
