"""Few-shot examples: which solved samples a model is shown before it is asked another.

A sample is never shown to itself: neither the sample with its id, where the examples come from the same data, nor one
with its text, whatever that is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import Any, Literal

from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts.similarity import Similarity
from pytest_llmbench.records import Sample
from pytest_llmbench.sampling import Sampling, value_of
from pytest_llmbench.validators.material import rendered

Choose = Literal["similar", "same", "each", "first"]

MAX_POOL = 2000
"""Of more samples that many are drawn to choose from, always the same ones."""


class Pool:
    """Solved samples to choose examples from, read when they are first needed.

    Args:
        samples: gives them; those without an expected answer are left out.
        is_data: whether they are the use case's own samples: then one with the asked sample's id is that sample.
    """

    def __init__(self, samples: Callable[[], Iterable[Sample]], *, is_data: bool = False) -> None:
        self.is_data = is_data
        self._read = samples

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        solved = (sample for sample in self._read() if sample.expected is not None)
        return Sampling(limit=MAX_POOL).drawn(solved).samples

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return tuple(folded(sample) for sample in self.samples)

    @cached_property
    def _similarity(self) -> Similarity:
        return Similarity(self._texts)

    def others(self, sample: Sample) -> list[int]:
        """Which of them are not the sample itself."""
        own = folded(sample)
        return [
            index
            for index, one in enumerate(self.samples)
            if self._texts[index] != own and not (self.is_data and one.id == sample.id)
        ]

    def likeness(self, sample: Sample) -> Sequence[float]:
        """How similar each of them is to a sample, from 0 to 1."""
        return self._similarity.to(folded(sample))

    def digest(self) -> str:
        """The hash of their content, in their order."""
        content = json.dumps([(each.input, each.expected, each.metadata) for each in self.samples], default=str)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """How examples are chosen for a sample."""

    pool: Pool
    count: int = 3
    choose: Choose = "similar"
    """`similar`: the most similar, the nearest of them last. `same`: those with the sample's own value in the field
    `by`. `each`: one of each value of `by`, in turn. `first`: the first."""
    by: str = ""
    """A column; of `each` also `expected`, or a key inside it."""
    refused: Callable[[str], UsageError] = UsageError
    """Makes the error that says where `by` was declared."""

    def check(self, sample: Sample, *, is_example: bool) -> None:
        """See that a sample has the field `by`, where examples are chosen by that.

        Args:
            sample: one that is asked, or an example.
            is_example: which of both.

        Raises:
            UsageError: it has not; with the place of the declaration.
        """
        if self.choose == "same" or (self.choose == "each" and is_example):
            try:
                value_of(sample, self.by)
            except UsageError as error:
                raise self.refused(error.message) from None

    def chosen_for(self, sample: Sample) -> tuple[Sample, ...]:
        """The examples that are shown before this sample is asked; fewer where there are no more.

        Raises:
            UsageError: the samples have no field `by`, or they cannot be read.
        """
        others = self.pool.others(sample)
        return tuple(self.pool.samples[index] for index in self._ordered(others, sample))

    def _ordered(self, others: list[int], sample: Sample) -> list[int]:
        if self.choose == "first":
            return others[: self.count]
        if self.choose == "similar":
            likeness = self.pool.likeness(sample)
            return sorted(others, key=lambda index: (-likeness[index], index))[: self.count][::-1]
        values = {index: value_of(self.pool.samples[index], self.by) for index in others}
        if self.choose == "same":
            own = value_of(sample, self.by)
            return [index for index in others if values[index] == own][: self.count]
        groups = [[index for index in others if values[index] == value] for value in dict.fromkeys(values.values())]
        return [index for index in chain.from_iterable(zip_longest(*groups)) if index is not None][: self.count]

    def content(self) -> dict[str, Any]:
        """All that decides which examples are shown, as builtin types."""
        return {"choose": self.choose, "by": self.by, "count": self.count, "pool": self.pool.digest()}


def text_of(sample: Sample) -> str:
    """What the user asks in a sample; where that is no text, its columns."""
    text = rendered(sample.input)
    return text if text.strip() else json.dumps(sample.metadata, ensure_ascii=False, sort_keys=True, default=str)


def folded(sample: Sample) -> str:
    """A sample's text without regard to case and spacing."""
    return " ".join(text_of(sample).casefold().split())
