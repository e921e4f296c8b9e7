"""Nearness in meaning, by embeddings made on this machine."""

from __future__ import annotations

import pytest
from text_validators import scored

from pytest_llmbench.validators import embedding

QUESTION = "How do I get a refund?"
TEXTS = [QUESTION, "I want my money back.", "The weather is nice today."]


def test_texts_of_one_meaning_are_nearer_than_others() -> None:
    """And a text is nearest to itself."""
    assert embedding.cosine(QUESTION, QUESTION) == pytest.approx(1, abs=1e-5)
    assert embedding.cosine(QUESTION, TEXTS[1]) > 0.5
    assert embedding.cosine(QUESTION, TEXTS[2]) < 0.2
    assert embedding.cosine(QUESTION, TEXTS[1]) == pytest.approx(embedding.cosine(TEXTS[1], QUESTION), abs=1e-6)


def test_the_nearest_reference_counts_and_silence_is_near_nothing() -> None:
    """The model that was used stands in the reason."""
    found = scored("similarity", "money back please", [TEXTS[2], TEXTS[1]])
    assert found.value == pytest.approx(embedding.cosine("money back please", TEXTS[1]), abs=1e-6)
    assert embedding.EMBEDDER in found.reason
    assert scored("similarity", "", QUESTION).value == 0
    assert scored("similarity", "a", None).state == "unscored"


def test_the_end_of_a_long_text_counts() -> None:
    """It is embedded by windows, not cut after the first."""
    filler = "The weather is nice today. " * 120
    assert embedding.cosine(filler + "Refunds take two weeks. " * 200, QUESTION) > embedding.cosine(filler, QUESTION)


@pytest.mark.parametrize(
    "text", ["\ud800 a", "\x00\x1b[31m", "e" + "\u0301" * 500, "\u202e", "👩‍👩‍👧‍👦" * 50, "中文" * 300]
)
def test_strange_replies_have_an_embedding(text: str) -> None:
    """Lone surrogates, controls and marks are text like any other."""
    assert 0 <= scored("similarity", text, QUESTION).value <= 1
