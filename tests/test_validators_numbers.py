"""Numbers in replies: the whole answer, one answer, and never a part of another number."""

from __future__ import annotations

import pytest

from pytest_llmbench.validators import check


@pytest.mark.parametrize(
    "reply",
    [
        "12",
        "12.",
        " 12\n",
        "**12**",
        "`12`",
        "_12_",
        "12\nActually quite an easy one.",
        "$12",
        "12 apples",
        "12 km per hour",
        "12kg",
        "12%",
        "12.0",
        "= 12",
        "１２",
        "(12)",
        "$12$",
        "\\(12\\)",
        "Answer: 12",
        "answer: 12 apples.",
        "**Answer:** 12",
        "Answer:\n12",
        "The answer is 12.",
        "The answer is 12 apples. Each child gets two of the six bags.",
        "So the answer is: $12",
        "Answer: 5 + 7 = 12",
        "Answer: 12 (that is, 5 + 7)",
        "5 + 7 = 12",
        "There are 5 + 7 = 12 apples.",
        "She has $5 + $7 = $12 left.",
        "2 × 5 = 10 + 2 = 12",
        "There are 12 apples.",
        "First 3 bags of 4 apples.\nThat makes:\n12 apples",
        "3 bags hold 4 apples each.\nFinal answer: 12",
        "Answer: 11\nNo, one is missing.\nFinal answer: 12",
        "I get \\boxed{11}. One is missing, so \\boxed{12}",
        "3 times 4 is \\boxed{12\\text{ apples}}.",
        "\\boxed{\\frac{24}{2}}",
        "3 * 4 = <<3*4=12>>12 apples\n#### 12",
        "#### Step 1: add 5 and 7\nAnswer: 12",
        "The answer is not 11, it is 12.",
        "It isn't 11 but 12.",
        "It is 12, not 11.",
        "<think>Is it 11? No, 13.</think>12",
        "11? 13?</think>\n\n12",
    ],
)
def test_a_reply_that_gives_twelve_is_correct(reply):
    """However it is dressed, where one answer stands as the answer, it counts."""
    assert check("number", reply, "12").correct, check("number", reply, "12")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n",
        "<think>12</think>",
        "<think>the answer is 12",
        "twelve",
        "120",
        "112",
        "12.5",
        "1.2",
        "-12",
        "−12",
        "12,5",
        "12:30",
        "12/5",
        "12/3/2026",
        "12^2",
        "12²",
        "12½",
        "12 thousand",
        "12k",
        "1,12",
        "12,000",
        "A12",
        "GPT-12x7",
        "12 or 15",
        "12 15",
        "12. 15.",
        "12\n15",
        "10-12",
        "Answer: 12 or 15",
        "Answer: 12. Or 15.",
        "Answer: 12\nAnswer: 15",
        "The answer is 12. Actually, it is 15.",
        "The answer is 12.\nWait, that is wrong: it is 15.",
        "The answer is not 12.",
        "The answer is not 12, it is 15.",
        "It isn't 12.",
        "12 was my first thought.\nFinal answer: 15",
        "\\boxed{12}, no: \\boxed{15}",
        "There are 12 apples.\nFinal answer: I do not know",
        "12 apples.\n\\boxed{}",
        "12\nWait, it should be 15.",
        "Final answer:",
        "Tom had 15 apples and ate 3, so 12 are left, and 2 are green.",
        "I'm sorry, I cannot help with that.",
        "Answer: <number>",
        "Answer: 12\n\nQuestion: what is 7 + 8?\nAnswer: 15",
    ],
)
def test_a_reply_that_does_not_give_twelve_alone_is_not_correct(reply):
    """Not the first number, not a part of one, not one of several."""
    assert not check("number", reply, "12").correct


@pytest.mark.parametrize(
    ("answer", "reply", "correct"),
    [
        ("12000", "12,000", True),
        ("12000", "12 000", False),
        ("12000", "12\u202f000", True),
        ("12000", "12\u00a0000", True),
        ("12000", "12k", True),
        ("12000", "12 thousand", True),
        ("12,000", "12000", True),
        ("1200", "1.200", False),
        ("1.2", "1.200", True),
        ("1200000", "1.200.000", False),
        ("0.75", "3/4", True),
        ("0.75", "¾", True),
        ("0.75", ".75", True),
        ("3/4", "0.75", True),
        ("1.5", "1½", True),
        ("1.5", "1 1/2", True),
        ("-3", "−3", True),
        ("-3", "-3 degrees", True),
        ("-5", "-$5", True),
        ("3", "- 3", True),
        ("1200", "1.2e3", True),
        ("24", "2 dozen", True),
        ("12", "١٢", True),
    ],
)
def test_numbers_are_read_as_english_writes_them(answer, reply, correct):
    """A comma groups, a dot divides, a dash with space behind it is a bullet."""
    assert check("number", reply, answer).correct is correct


@pytest.mark.parametrize(
    ("reply", "correct"), [("3.14", True), ("3.145", True), ("3.15", True), ("3.1501", False), ("3.1", False)]
)
def test_a_tolerance_is_the_largest_difference_that_counts_as_equal(reply, correct):
    """`number:0.01` is exact about its own limit."""
    assert check("number:0.01", reply, "3.14").correct is correct


@pytest.mark.parametrize(
    ("reply", "extracted", "reason"),
    [
        ("15 apples", "15", "'15' is not '12'"),
        ("12 or 15", None, "several different answers: '12' and '15'"),
        ("", None, "the reply is empty"),
        ("<think>12</think>\n", None, "the reply is reasoning only, without an answer"),
        ("I’m sorry, I can’t do that.", None, "the reply declines to answer"),
        ("Apples.", None, "no answer of the form that was asked for"),
        ("Answer: 12", "12", "the expected answer"),
    ],
)
def test_a_verdict_says_what_was_read_and_why(reply, extracted, reason):
    """A wrong answer, several, none, silence and a refusal are told apart."""
    verdict = check("number", reply, "12")
    assert (verdict.extracted, verdict.reason) == (extracted, reason)
