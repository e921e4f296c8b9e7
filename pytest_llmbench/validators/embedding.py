"""How near two texts are in meaning: the cosine of their vectors. English above all; see `embeddings`."""

from __future__ import annotations

from typing import Any

from pytest_llmbench.embeddings import EMBEDDER, embedded, load
from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.closeness import given_reference, nearest
from pytest_llmbench.validators.material import NOTHING_EXPECTED
from pytest_llmbench.validators.reply_text import composed
from pytest_llmbench.validators.scorer import Scorer, Validator, Where, graded

_MOST_CHARACTERS = 50_000


def cosine(one: str, other: str) -> float:
    """The cosine of the embeddings of two texts, -1 to 1.

    Raises:
        MissingExtraError: the extra `embeddings` is not installed.
        UsageError: the model's file is not the one that scores are made with.
    """
    return float(embedded(_ready(one)) @ embedded(_ready(other)))


def _ready(text: str) -> str:
    """What the tokenizer takes: a lone surrogate is no text to it."""
    return composed(text[:_MOST_CHARACTERS]).encode("utf-8", "replace").decode()


def _parse(argument: Any, where: Where) -> Scorer:
    given, _ = given_reference(argument, where, {})
    load()

    def measure(reply: str, reference: str) -> Score:
        found = cosine(reply, reference) if reply else 0.0
        return graded(found, f"cosine {found:.3f} ({EMBEDDER})", cosine=round(found, 6))

    return nearest(measure, given, lambda reference: "" if reference.strip() else NOTHING_EXPECTED)


TABLE: tuple[Validator, ...] = (
    Validator(
        "similarity",
        "near in meaning to the expected answer: the cosine of embeddings, made on this machine; English",
        _parse,
        {"at_least": 0.7},
        needs="embeddings",
        measure="value",
    ),
)
