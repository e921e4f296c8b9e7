"""Letters, options' texts, yes and no, closed sets of words: whole words, one answer, nothing denied."""

from __future__ import annotations

import pytest

from pytest_llmbench.validators import check

CITIES = ("London", "Paris", "New York", "York")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday")


@pytest.mark.parametrize(
    "reply",
    [
        "B",
        "b",
        "(b)",
        "B.",
        "B)",
        "**B**",
        "B) Paris",
        "B. Paris.",
        "(B) Paris",
        "Paris",
        "paris.",
        "Option B",
        "Answer: B",
        "The answer is B.",
        "The correct answer is (B) Paris.",
        "The answer is Paris.",
        "\\boxed{B}",
        "\\boxed{\\text{B}}",
        "B. Because London is the capital of another country.",
        "B\n\nParis is the capital of France, London that of England.",
        "It is not London, it is Paris.",
        "I would choose B, as it is the capital.",
        "<think>A? No. London?</think>\nB",
        "Let me see.\nFinal answer: B",
        "Ｂ",
    ],
)
def test_a_letter_or_its_text_is_a_choice(reply):
    """However it is dressed; an explanation behind the letter may name the other options."""
    assert check("choice", reply, "B", CITIES).correct, check("choice", reply, "B", CITIES)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "A",
        "E",
        "AB",
        "B and C",
        "b, c",
        "A or B",
        "B) London",
        "B. London",
        "Paris or London",
        "not B",
        "It is not Paris.",
        "B is wrong, so A",
        "The answer is not B.",
        "Answer: B\nAnswer: A",
        "B. Actually, A",
        "B. Wait, London is right.",
        "A) London\nB) Paris\nC) New York\nD) York",
        "A) London B) Paris C) New York D) York",
        "Parisian",
        "A big city is Berlin",
        "New York",
        "I cannot answer that.",
    ],
)
def test_what_is_not_the_one_right_choice_is_not_correct(reply):
    """Not several letters, not a letter with another's text, not the list of options repeated."""
    assert not check("choice", reply, "B", CITIES).correct, check("choice", reply, "B", CITIES)


@pytest.mark.parametrize(("reply", "letter"), [("New York", "C"), ("York", "D"), ("I think New York it is", "C")])
def test_an_option_within_another_is_told_from_it(reply, letter):
    """The longest option that stands there is meant."""
    assert check("choice", reply, letter, CITIES).correct


def test_options_that_are_letters_or_alike_are_chosen_by_their_letter():
    """Blood groups, and options that differ only in what is not compared."""
    groups = ("O", "A", "B", "AB")
    assert check("choice", "B", "B", groups).correct
    assert check("choice", "AB", "D", groups).correct
    assert check("choice", "A) O", "A", groups).correct
    alike = ("{0}", "0", "The A Team", "the team")
    assert check("choice", "B) 0", "B", alike).correct
    assert not check("choice", "0", "B", alike).correct
    assert check("choice", "It is the team!", "D", alike).correct
    assert check("choice", "It is the A team.", "C", alike).correct


def test_a_choice_that_is_taken_back_is_none():
    """On the next line, too."""
    assert not check("choice", "B\n\nWait, it is A.", "B", CITIES).correct


def test_the_article_a_is_no_letter():
    """`A dog barks` does not choose option A, `A is right` does."""
    options = ("cats", "dogs")
    assert not check("choice", "A dog barks at night.", "A", options).correct
    assert check("choice", "A is right", "A", options).correct
    assert check("choice", "A dog barks, so it is dogs.", "B", options).correct


def test_numbers_as_options_are_not_found_within_numbers():
    """`5` is not in `15`, `5.5` or `-5`."""
    options = ("5", "15", "5.5", "-5")
    assert check("choice", "The result is 15.", "B", options).correct
    assert check("choice", "The result is 5.5.", "C", options).correct
    assert check("choice", "The result is -5.", "D", options).correct
    assert not check("choice", "The result is 25.", "A", options).correct


@pytest.mark.parametrize(
    "reply",
    [
        "no",
        "No.",
        "NO",
        "**No**",
        "No, it does not.",
        "No\n\nYes is what many think.",
        "Answer: no",
        "The answer is no.",
        "\\boxed{no}",
        "<think>yes</think> No",
        "No! There is no dog.",
        "“No”",
        "No, because there is no way to know.",
    ],
)
def test_a_reply_that_says_no_is_a_no(reply):
    """At the beginning of the answer, as a word of its own."""
    assert check("yes_no", reply, "no").correct, check("yes_no", reply, "no")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "know",
        "I know",
        "nothing",
        "None",
        "Not sure",
        "now",
        "yes",
        "Yes, there is no doubt.",
        "No way to know",
        "There is no dog in the text.",
        "yes or no",
        "yes/no",
        "Yes and no",
        "No, yes",
        "No. Yes.",
        "no-one",
        "Norway",
        "No. Actually, yes.",
        "Answer: yes\nAnswer: no",
        "maybe",
        "noé",
        "The answer is not no",
    ],
)
def test_what_is_not_a_plain_no_is_not_correct(reply):
    """`no` is not in `know`, and a `no` within a sentence answers nothing."""
    assert not check("yes_no", reply, "no").correct, check("yes_no", reply, "no")


@pytest.mark.parametrize(
    ("reply", "correct"),
    [
        ("Tuesday", True),
        ("tuesday.", True),
        ("It is Tuesday, not Monday.", True),
        ("The answer is Tuesday", True),
        ("The day after Monday is Tuesday", False),
        ("Tuesdays", False),
        ("Friday", False),
        ("Not Tuesday", False),
        ("Tuesday or Wednesday", False),
        ("", False),
    ],
)
def test_a_word_of_a_closed_set_is_the_answer_where_it_is_the_only_one(reply, correct):
    """As a whole word, denied ones left out."""
    assert check("one_of", reply, "Tuesday", WEEKDAYS).correct is correct
