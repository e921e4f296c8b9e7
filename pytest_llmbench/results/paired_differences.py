"""Two lists of scores of the same samples, compared sample by sample, as tests assert on it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Score
from pytest_llmbench.stats.differences import paired_rates, paired_values
from pytest_llmbench.stats.effects import Word, cohen_d, cohen_h, word_of
from pytest_llmbench.stats.sentences import Beside, difference_sentence


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better b is than a, with the 95 % interval: 0.03 is 3 points."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, of "there is no difference"."""
    n: int
    """Samples that both have a score of."""
    left_out: int
    """Samples that one of them has none of."""
    sentence: str

    def __repr__(self) -> str:
        """Short: pytest prints it where a test asserts on it."""
        return self.sentence


def paired_difference(
    a: Iterable[Score | float | None],
    b: Iterable[Score | float | None],
    *,
    names: tuple[str, str] = ("A", "B"),
    clusters: Sequence[Hashable] | None = None,
) -> PairedDifference:
    """How much better b is than a on the same samples: mean of b − mean of a.

    Where all scores are 0 or 1 the test is McNemar's, exact, and the interval Tango's; else a permutation of signs, and
    Student's interval.

    Args:
        a: scores, or numbers from 0 to 1, sample by sample; an unscored one is left out with its partner.
        b: of the same samples in the same order.
        names: what both are called in the sentence.
        clusters: which samples belong together, such as several questions on one document.

    Raises:
        UsageError: there are not as many of both, or no sample has two scores.
    """
    before, after = list(map(_value, a)), list(map(_value, b))
    if len(before) != len(after):
        raise UsageError(
            f"{len(before)} scores against {len(after)}: a paired comparison needs the same samples",
            hint="give an unscored sample as None, in its place",
        )
    known = [(one, other) for one, other in zip(before, after, strict=True) if one is not None and other is not None]
    if not known:
        raise UsageError(
            f"no sample of {len(before)} has two scores", hint="look at `.state` and `.reason` of the scores"
        )
    binary = all(value in {0.0, 1.0} for pair in known for value in pair)
    found = (
        paired_rates(_verdicts(before), _verdicts(after), clusters)
        if binary
        else paired_values(before, after, clusters)
    )
    assert found.value is not None
    beside = Beside(names[0], names[1], effect=_effect(known, binary=binary))
    sentence = difference_sentence(found, beside)
    left_out = len(before) - len(known)
    return PairedDifference(found.value, found.low, found.high, found.p_value, found.n, left_out, sentence)


def _value(score: Score | float | None) -> float | None:
    if not isinstance(score, Score):
        return None if score is None else float(score)
    if score.value is not None:
        return score.value
    return None if score.passed is None else float(score.passed)


def _verdicts(values: Sequence[float | None]) -> list[bool | None]:
    return [None if value is None else bool(value) for value in values]


def _effect(known: Sequence[tuple[float, float]], *, binary: bool) -> Word | None:
    before, after = [one for one, _ in known], [other for _, other in known]
    if binary:
        return word_of(cohen_h(sum(before) / len(before), sum(after) / len(after)), "h")
    return word_of(cohen_d(before, after))
