"""Closeness to a reference: equal to the reference implementations, and quick whatever the reply is."""

from __future__ import annotations

import math
from typing import Any

import jiwer
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from text_validators import scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.edits import Edits

PAIRS = [
    ("The cat sat on the mat.", "The cat is on the mat."),
    ("Refunds are possible within 14 days of delivery.", "You may send it back within 14 days after delivery."),
    ("on the mat the cat sat", "the cat sat on the mat"),
    ("Paris", "Paris"),
    ("completely different words here", "nothing shared at all"),
    ("one", "one two three four five six seven eight"),
    ("a a a a b", "a b b b"),
    ("It cost 1,234.50 dollars -- that's 5% more!", "It cost 1234.50 dollars, 5% more."),
]
SHORT_WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "12", "days,", "it's"]
ENGLISH = st.lists(st.sampled_from(SHORT_WORDS), min_size=1, max_size=30)


@pytest.mark.parametrize(("reply", "expected"), PAIRS)
@pytest.mark.parametrize(("name", "theirs"), [("rouge-1", "rouge1"), ("rouge-2", "rouge2"), ("rouge-l", "rougeL")])
def test_rouge_equals_the_reference_implementation(name: str, theirs: str, reply: str, expected: str) -> None:
    """Precision, recall and F1 are those of rouge-score."""
    reference = RougeScorer([theirs]).score(expected, reply)[theirs]
    details = scored(name, reply, expected).details
    assert details["precision"] == pytest.approx(reference.precision, abs=1e-6)
    assert details["recall"] == pytest.approx(reference.recall, abs=1e-6)
    assert details["f1"] == pytest.approx(reference.fmeasure, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(reply=ENGLISH, expected=ENGLISH)
def test_rouge_equals_the_reference_implementation_on_any_words(reply: list[str], expected: list[str]) -> None:
    """The longest common subsequence is the same on texts that nobody chose."""
    ours, theirs = " ".join(reply), " ".join(expected)
    reference = RougeScorer(["rougeL"]).score(theirs, ours)["rougeL"]
    assert scored("rouge-l", ours, theirs).value == pytest.approx(reference.fmeasure)


def test_rouge_counts_words_of_other_scripts() -> None:
    """Cyrillic words are words; rouge-score would drop them and give 0."""
    assert scored("rouge-1", "кошка сидит на ковре", "кошка лежит на ковре").value == pytest.approx(0.75)


@pytest.mark.parametrize(("reply", "expected"), PAIRS)
def test_bleu_and_chrf_equal_sacrebleu(reply: str, expected: str) -> None:
    """They are sacrebleu's sentence scores, from 0 to 1."""
    assert scored("bleu", reply, expected).value == pytest.approx(
        sacrebleu.sentence_bleu(reply, [expected]).score / 100
    )
    assert scored("chrf", reply, expected).value == pytest.approx(
        sacrebleu.sentence_chrf(reply, [expected]).score / 100
    )
    plus = sacrebleu.sentence_chrf(reply, [expected], word_order=2).score / 100
    assert scored("chrf", reply, expected, {"word_order": 2}).value == pytest.approx(plus)


def test_bleu_takes_all_references_at_once() -> None:
    """Several references are one set of n-grams, as BLEU defines it: not the best of single scores."""
    references = ["the cat sat", "a mat lay there on the floor"]
    ours = scored("bleu", "the cat sat on the floor", references).value
    assert ours == pytest.approx(sacrebleu.sentence_bleu("the cat sat on the floor", references).score / 100)


@settings(max_examples=60, deadline=None)
@given(reply=ENGLISH, expected=ENGLISH)
def test_word_error_rate_equals_jiwer(reply: list[str], expected: list[str]) -> None:
    """The rate is jiwer's, and its kinds of edits add up to the same number."""
    ours, theirs = " ".join(reply), " ".join(expected)
    found = scored("word-error-rate", ours, theirs, {"as_written": True})
    output = jiwer.process_words(theirs, ours)
    assert found.details["wer"] == pytest.approx(output.wer, abs=1e-6)
    edits = [found.details[kind] for kind in ("substituted", "deleted", "inserted")]
    assert sum(edits) == output.substitutions + output.deletions + output.insertions


@pytest.mark.parametrize(("reply", "expected"), PAIRS)
def test_character_error_rate_equals_jiwer(reply: str, expected: str) -> None:
    """The rate of characters is jiwer's."""
    found = scored("character-error-rate", reply, expected)
    assert found.details["cer"] == pytest.approx(jiwer.cer(expected, reply), abs=1e-6)


def test_a_transcript_may_differ_in_case_and_punctuation() -> None:
    """What nobody can hear is no error, unless the use case says so."""
    reply, expected = "good morning everyone lets begin", "Good morning, everyone. Let’s begin!"
    assert scored("word-error-rate", "good morning everyone", "Good morning, everyone!").details["wer"] == 0
    assert scored("word-error-rate", reply, expected, {"as_written": True}).details["wer"] > 0


def test_a_transcript_with_more_errors_than_words_is_no_negative_score() -> None:
    """A rate may be above 1; a value is never below 0."""
    found = scored("word-error-rate", "so many words that nobody said", "hello")
    assert found.details["wer"] == 6
    assert found.value == 0


def test_f1_counts_as_squad_does() -> None:
    """Case, punctuation and articles do not count; the order of words does not either."""
    assert scored("f1", "The Eiffel Tower.", "eiffel tower").value == 1
    assert scored("f1", "in Paris, France", "Paris").value == pytest.approx(2 * (1 / 3) / (1 / 3 + 1))


def test_the_nearest_of_several_references_counts() -> None:
    """A list of expected answers is a list of right ones."""
    assert scored("rouge-1", "the cat sat", ["a dog ran", "the cat sat"]).value == 1
    assert scored("f1", "yes", "no", {"reference": ["yes", "of course"]}).value == 1


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=60).filter(str.strip))
def test_closeness_lies_between_0_and_1_and_sameness_is_1(reply: str, expected: str) -> None:
    """Whatever the texts are; a reply equal to its reference cannot be improved."""
    for name in ("f1", "rouge-1", "rouge-2", "edit-similarity", "chrf", "bleu"):
        value = scored(name, reply, expected).value
        assert value is not None
        assert 0 <= value <= 1
        assert not math.isnan(value)
    assert scored("edit-similarity", expected.strip(), expected.strip()).value == 1


def test_an_empty_reply_shares_nothing() -> None:
    """Silence scores 0, it does not raise."""
    for name in ("f1", "rouge-1", "rouge-2", "rouge-l", "bleu", "chrf", "edit-similarity", "word-error-rate"):
        assert scored(name, "", "the cat sat").value == 0


def test_without_an_expected_answer_nobody_can_tell() -> None:
    """No reference: unscored, and a defect of the data."""
    assert scored("rouge-l", "the cat", None).state == "unscored"
    assert scored("rouge-l", "the cat", None, defects=True) == ["the sample has no expected answer"]


def test_a_reference_without_words_is_a_defect() -> None:
    """ROUGE against `—` is 0 for every reply: the data is wrong, not the model."""
    assert "has no word" in scored("rouge-1", "", "—", defects=True)[0]


def test_a_reference_too_long_to_compare_is_a_defect() -> None:
    """Edits of characters are refused up front where they would take minutes."""
    assert "20000" in scored("edit-similarity", "", "x" * 30_000, defects=True)[0]
    assert scored("edit-similarity", "x", "x" * 30_000).state == "unscored"


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("rouge-l", {"of": "f2"}),
        ("rouge-l", {"off": "f1"}),
        ("bleu", {"tokenize": "flores200"}),
        ("chrf", {"word_order": 7}),
        ("f1", {"reference": "  "}),
        ("f1", 3),
    ],
)
def test_an_unknown_option_is_an_error_with_its_place(name: str, argument: Any) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match=r"validators\.0"):
        scored(name, "a", "a", argument)


def test_an_error_rate_against_nothing_is_the_number_of_insertions() -> None:
    """No division by zero."""
    assert Edits(0, 0, 3, 0).rate == 3
    assert Edits(0, 0, 0, 0).rate == 0
