"""BLEU and chrF of one reply against its references, counted by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llmbench.extras import from_extra
from pytest_llmbench.validators.reply_text import composed

LONGEST = 100_000
"""Characters of a reply that are compared: counting runs of characters takes memory, and a reply may be endless."""
TOKENIZERS = ("13a", "char", "intl", "none", "zh")
"""sacrebleu's; those that fetch a model are left out."""


def bleu(given: str, references: Sequence[str], tokenize: str = "13a") -> float:
    """Sentence BLEU, 0 to 1, with effective order and exponential smoothing: sacrebleu's `sentence_bleu` / 100.

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    return _fraction(
        _sacrebleu().sentence_bleu(_cut(given), [composed(each) for each in references], tokenize=tokenize)
    )


def chrf(given: str, references: Sequence[str], word_order: int = 0) -> float:
    """Sentence chrF, 0 to 1; with `word_order` 2 it is chrF++: sacrebleu's `sentence_chrf` / 100.

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    return _fraction(
        _sacrebleu().sentence_chrf(_cut(given), [composed(each) for each in references], word_order=word_order)
    )


def _sacrebleu() -> Any:
    return from_extra("sacrebleu", "text")


def _fraction(score: Any) -> float:
    return min(1.0, max(0.0, float(score.score) / 100))


def _cut(text: str) -> str:
    return composed(text[:LONGEST])
