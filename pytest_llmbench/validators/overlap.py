"""How much of a reference's wording a reply has: token F1 and ROUGE.

ROUGE counts as the reference implementation `rouge-score` does without stemming; on ASCII text the figures are equal.
Words of other scripts count as words here, which that implementation drops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_llmbench.extras import from_extra
from pytest_llmbench.validators.reply_text import composed

_WORD = re.compile(r"[^\W_]+")
_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = re.compile(r"[^\w\s]|_")
Run = TypeVar("Run", str, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Overlap:
    """Precision, recall and their harmonic mean, each 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """0 where nothing is shared."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters and digits."""
    return _WORD.findall(composed(text).lower())


def plain_words(text: str) -> list[str]:
    """The words as question answering compares them: lower case, no punctuation, no English articles."""
    return [word for word in _PUNCTUATION.sub("", composed(text).lower()).split() if word not in _ARTICLES]


def token_f1(given: str, reference: str) -> Overlap:
    """The overlap of words, in any order, as SQuAD counts it."""
    return _shared(Counter(plain_words(given)), Counter(plain_words(reference)))


def rouge_n(given: str, reference: str, size: int) -> Overlap:
    """ROUGE-N: the overlap of runs of `size` words."""
    return _shared(_runs(words(given), size), _runs(words(reference), size))


def rouge_l(given: str, reference: str) -> Overlap:
    """ROUGE-L: the longest common subsequence of words, over the whole text.

    Raises:
        MissingExtraError: the extra `text` is not installed.
    """
    ours, theirs = words(given), words(reference)
    common = _longest_common(ours, theirs)
    return Overlap(common / len(ours) if ours else 0.0, common / len(theirs) if theirs else 0.0)


def _longest_common(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    subsequence = from_extra("rapidfuzz.distance", "text").LCSseq
    return int(subsequence.similarity(one, other))


def _runs(words_: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words_[start : start + size]) for start in range(len(words_) - size + 1))


def _shared(given: Counter[Run], reference: Counter[Run]) -> Overlap:
    common = (given & reference).total()
    return Overlap(common / given.total() if given else 0.0, common / reference.total() if reference else 0.0)
