"""How many edits lie between a reply and a reference: in characters, and in words as transcription counts them.

Word error rate is what `jiwer` gives for the same words: (substituted + deleted + inserted) / words of the reference.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pytest_llmbench.extras import from_extra
from pytest_llmbench.validators.overlap import words
from pytest_llmbench.validators.reply_text import composed

MOST_CHARACTERS = 20_000
MOST_WORDS = 50_000
"""Of a reference, where characters or words are compared: time goes by the product of both lengths, and the reply's is
not ours to choose."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What makes the reference into the reply."""

    substituted: int
    deleted: int
    inserted: int
    reference: int
    """Units of the reference: words or characters."""

    @property
    def rate(self) -> float:
        """Edits per unit of the reference, which may be above 1; against an empty reference, the insertions."""
        edits = self.substituted + self.deleted + self.inserted
        return edits / self.reference if self.reference else float(edits)


def similarity(given: str, reference: str) -> float:
    """1 − Levenshtein distance of characters / length of the longer text: 1 where they are equal.

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    distance = from_extra("rapidfuzz.distance", "text").Levenshtein
    return float(distance.normalized_similarity(composed(given), composed(reference)))


def word_edits(given: str, reference: str, *, as_written: bool = False) -> Edits:
    """The edits of words.

    Args:
        given: the transcript to be judged.
        reference: the right one.
        as_written: words are what stands between spaces, case and punctuation count; else they do not.
    """
    ours, theirs = (text.split() if as_written else words(text) for text in (given, reference))
    return _edits(ours, theirs)


def character_edits(given: str, reference: str) -> Edits:
    """The edits of characters, spaces included."""
    return _edits(composed(given).strip(), composed(reference).strip())


def _edits(given: Sequence[Hashable], reference: Sequence[Hashable]) -> Edits:
    distance = from_extra("rapidfuzz.distance", "text").Levenshtein
    counts = {"replace": 0, "delete": 0, "insert": 0}
    for step in distance.opcodes(reference, given):
        if step.tag != "equal":
            counts[step.tag] += max(step.src_end - step.src_start, step.dest_end - step.dest_start)
    return Edits(counts["replace"], counts["delete"], counts["insert"], len(reference))
