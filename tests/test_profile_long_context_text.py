"""The prompts of long contexts: exact counts, varied prose, a fact at its depth, strict scoring."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest

from pytest_llmbench.errors import UsageError
from pytest_llmbench.profiles import long_context_prose as prose
from pytest_llmbench.profiles.long_context_text import Estimate, Fact, Riddle, build, riddle_for

FACT = Fact("the map room", 48213)
ALONE = Riddle(FACT)
AMONG = Riddle(FACT, (Fact("the bell foundry", 11111), Fact("the harbour office", 22222)))


def pieces(text: str) -> int:
    """A tokenizer of its own: words cut into at most four letters, punctuation and a template of 7 tokens."""
    return 7 + len(re.findall(r"\w{1,4}|[^\w\s]|\n\n", text))


def characters(text: str) -> int:
    """The finest tokenizer there is."""
    return len(text)


@pytest.mark.parametrize("depth", [0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("tokens", [300, 511, 1024, 4096])
def test_a_prompt_has_exactly_the_tokens_asked_for(tokens: int, depth: float) -> None:
    """By the count it is given, for every depth; many seeds, because a wrong end shows in some texts alone."""
    for seed in range(5):
        assert pieces(build(AMONG, tokens=tokens, depth=depth, seed=seed, count=pieces)) == tokens


def test_a_tokenizer_of_characters_is_met_exactly_too() -> None:
    """The fillers have one or two characters and more, so every remainder can be made of them."""
    assert characters(build(AMONG, tokens=3000, depth=0.5, seed=3, count=characters)) == 3000


def test_a_count_that_cannot_be_met_is_missed_from_below() -> None:
    """A tokenizer that counts in threes meets no other number; nothing is ever longer than asked."""
    by_threes = lambda text: 3 * len(text.split())  # noqa: E731 - a tokenizer in a line
    assert by_threes(build(AMONG, tokens=1000, depth=0.5, seed=3, count=by_threes)) == 999


@pytest.mark.parametrize("depth", [0, 0.25, 0.5, 0.75, 1.0])
def test_the_fact_stands_once_at_its_depth_between_two_sentences(depth: float) -> None:
    """Within a sentence's length of where it was asked for, and no sentence is torn apart by it."""
    text = build(ALONE, tokens=4000, depth=depth, seed=1, count=pieces)
    body = text.split("\n\n", 1)[1].rsplit("\n\n", 1)[0]
    before, behind = body.split(FACT.sentence)
    assert before == "" or re.search(r"[.\"]\s$", before)
    assert behind == "" or re.match(r"\s[A-Z\"]", behind)
    assert len(before) / (len(before) + len(behind)) == pytest.approx(depth, abs=0.02)


def test_no_other_number_of_a_long_text_has_as_many_digits_as_the_fact() -> None:
    """So a number taken from elsewhere in the text can never be taken for the right one."""
    text = build(ALONE, tokens=20_000, depth=0.5, seed=2, count=pieces)
    assert re.findall(r"\b\d{5,}\b", text) == ["48213"]


def test_the_prose_is_varied_and_repeats_no_sentence() -> None:
    """No token fills the context: the most frequent word stays an article, and every sentence is told once."""
    told = list(itertools.islice(prose.sentences(seed=5), 2500))
    assert len(set(told)) == len(told)
    frequent = Counter(" ".join(told).lower().split())
    assert frequent.most_common(1)[0][0] == "the"
    assert frequent["the"] / frequent.total() < 0.15
    assert len(frequent) > 500


def test_the_chronicle_is_the_same_for_a_seed_and_another_for_another() -> None:
    """A measurement can be done again with the same text; the requests of one do not share theirs."""
    assert prose.words(7, 3000) == prose.words(7, 3000)
    assert "".join(prose.words(7, 3000)[0])[:200] != "".join(prose.words(8, 3000)[0])[:200]


def test_two_prompts_of_the_same_seed_differ_from_their_first_words_on() -> None:
    """Else a cache of prompts knows the whole text from the time before."""
    first, second = (build(AMONG, tokens=400, depth=0.5, seed=1, count=pieces) for _ in range(2))
    assert first[:9] != second[:9]
    assert first[12:60] == second[12:60]


def test_a_context_too_small_for_the_question_is_a_usage_error() -> None:
    """It says how many tokens the question takes."""
    with pytest.raises(UsageError, match="does not hold the question"):
        build(AMONG, tokens=20, depth=0.5, seed=1, count=pieces)


def test_the_decoys_are_spread_over_the_text_and_the_fact_stays_at_its_depth() -> None:
    """A model that repeats the only number it saw finds nothing out: there are others of the same kind."""
    text = build(AMONG, tokens=4000, depth=1.0, seed=1, count=pieces)
    places = [text.index(str(number)) / len(text) for number in (11111, 22222, 48213)]
    assert places == pytest.approx([0.25, 0.75, 1.0], abs=0.05)
    assert text.count("The access number of") == 3


def test_riddles_differ_between_requests_and_stay_the_same_on_a_resume() -> None:
    """A model that repeats what it said before is not right by it, and no decoy has the fact's subject or number."""
    riddles = [riddle_for(0, index) for index in range(40)]
    assert riddles == [riddle_for(0, index) for index in range(40)]
    assert len({riddle.fact.number for riddle in riddles}) == 40
    for riddle in riddles:
        everything = (riddle.fact, *riddle.decoys)
        assert len({fact.subject for fact in everything}) == len({fact.number for fact in everything}) == 4
        assert all(10_000 <= fact.number <= 99_999 for fact in everything)


def test_an_estimate_learns_from_what_the_server_told() -> None:
    """The next prompt is counted as the last one was."""
    estimate = Estimate()
    assert estimate("x" * 430) == 100
    estimate.learn("x" * 400, 200)
    assert estimate("x" * 430) == 215


@pytest.mark.parametrize(
    "answer",
    [
        "48213",
        " 48213.",
        "**48213**",
        "The access number of the map room is 48213.",
        "48213, yes: 48213",
        "Nr. 48213!\n",
    ],
)
def test_an_answer_that_tells_the_number_and_no_other_recalls_it(answer: str) -> None:
    """Manners of speaking do not matter: recall asks what the model found, not how it puts it."""
    assert FACT.is_told_by(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I do not know.",
        "148213",
        "482130",
        "48213.5",
        "48,213,000",
        "4821",
        "48213 or 48214",
        "It was built in 1802 and its number is 48213.",
        "forty-eight thousand",
    ],
)
def test_part_of_a_number_or_one_of_several_is_not_recall(answer: str) -> None:
    """Neither the first number nor a substring counts, and a list of guesses has told nothing."""
    assert not FACT.is_told_by(answer)


def test_a_number_at_the_very_end_of_an_answer_that_was_cut_off_does_not_count() -> None:
    """Nobody knows which digits were to come."""
    assert not FACT.is_told_by("The number is 48213", cut_off=True)
    assert FACT.is_told_by("48213\n\nThe number of the map", cut_off=True)
