"""Damage for tests of one's own with hypothesis: whatever it draws, what is asserted of the reply has to hold.

@given(said=damaged_texts("My parcel never came.", "typos-10", "casing"))
def test_a_complaint_stays_one(model, said): ...

The only module that needs hypothesis: `pip install 'pytest-llmbench[hypothesis]'`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmbench.corruption.damaging import applied
from pytest_llmbench.corruption.declared import Corruption, named_all
from pytest_llmbench.errors import MissingExtraError, UsageError
from pytest_llmbench.records import Sample

try:
    from hypothesis import strategies
    from hypothesis.strategies import SearchStrategy
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError(
        "damage cannot be drawn: hypothesis is not installed", hint="pip install 'pytest-llmbench[hypothesis]'"
    ) from error

ANY = ("typos-5", "typos-10", "typos-15", "missing-words-10", "casing", "casing-upper", "whitespace", "distractors")
"""What is drawn from where nothing is named: all that every text can take."""
_SEEDS = strategies.integers(0, 2**32 - 1)


def damaged_texts(text: str, *names: str) -> SearchStrategy[str]:
    """Texts that are this one with damage.

    Args:
        text: it.
        names: of corruptions, with their strengths; those of `ANY` where none is named.

    Raises:
        UsageError: there is no such corruption, or none can do anything to the text.
    """
    return damaged_samples(Sample("text", text), *names).map(lambda sample: str(sample.input))


def damaged_samples(sample: Sample, *names: str) -> SearchStrategy[Sample]:
    """Samples that are this one with its input damaged; of options in another order, with the expected answer's letter.

    Args:
        sample: it.
        names: as for `damaged_texts`.

    Raises:
        UsageError: as there.
    """
    kinds = [kind for kind in named_all(names or ANY, "damaged_samples") if applied(kind, sample) is not None]
    if not kinds:
        raise UsageError(
            f"none of {', '.join(names or ANY)} can do anything to the sample {sample.id!r}",
            hint="name corruptions for such inputs: docs/reference/corruptions.md",
        )
    drawn = strategies.builds(lambda kind, seed: _asked(kind, sample, seed), strategies.sampled_from(kinds), _SEEDS)
    return drawn.filter(lambda found: found is not None).map(lambda found: found or sample)


def _asked(kind: Corruption, sample: Sample, seed: int) -> Sample | None:
    found = applied(kind, sample, seed)
    return None if found is None else found.asked


__all__: Sequence[str] = ["ANY", "damaged_samples", "damaged_texts"]
