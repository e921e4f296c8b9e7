"""How similar texts are, by the words they share: TF-IDF weights and their cosine.

Known words that few of the texts hold count most. It needs no model, so the same examples are chosen on every machine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts that put no space between words."""


class Similarity:
    """Texts to compare others with.

    Args:
        texts: folded to one case.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy.sparse import csr_matrix  # noqa: PLC0415  slow to import, needed for few-shot prompts alone

        counts = [Counter(words(text)) for text in texts]
        held = Counter(word for count in counts for word in count)
        self._columns = {word: column for column, word in enumerate(sorted(held))}
        self._rarity = {word: math.log((1 + len(texts)) / (1 + n)) + 1 for word, n in held.items()}
        rows = [self._row(count) for count in counts]
        ends = [0]
        for row in rows:
            ends.append(ends[-1] + len(row))
        cells = [cell for row in rows for cell in row.items()]
        values, columns = [value for _, value in cells], [column for column, _ in cells]
        self._matrix = csr_matrix((values, columns, ends), shape=(len(texts), max(1, len(held))), dtype=float)

    def to(self, text: str) -> list[float]:
        """How similar each of the texts is to this one: 0 (no word in common) to 1 (the same words as often)."""
        asked = [0.0] * self._matrix.shape[1]
        for column, value in self._row(Counter(words(text))).items():
            asked[column] = value
        return [float(each) for each in self._matrix @ asked]

    def _row(self, count: Counter[str]) -> dict[int, float]:
        """A text's weights by column, of length 1."""
        weights = {word: (1 + math.log(n)) * self._rarity[word] for word, n in count.items() if word in self._rarity}
        length = math.hypot(*weights.values()) or 1.0
        return {self._columns[word]: weight / length for word, weight in weights.items()}


def words(text: str) -> list[str]:
    """The words of a text; of scripts without spaces, the pairs of neighbouring characters."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if len(word) > 2 and _UNSPACED.search(word):
            found.extend(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.append(word)
    return found
