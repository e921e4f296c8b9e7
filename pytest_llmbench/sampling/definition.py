"""Who says which samples are asked: a use case's front matter, the command line, and the results of earlier runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pytest_llmbench.config.strict import Strict, problem
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Outcome, TestResult
from pytest_llmbench.sampling.choosing import Sampling
from pytest_llmbench.settings import Settings

_NOT_FAILING = frozenset({Outcome.RIGHT, Outcome.SKIPPED, Outcome.PENDING})


class SamplingDef(Strict):
    """Which samples are asked: `sampling:` in a use case's front matter."""

    limit: int | None = Field(default=None, ge=1, description="at most that many samples")
    seed: int = Field(default=0, description="another seed, another choice")
    stratify: str = Field(
        default="",
        description="a column, expected, or expected.KEY: each of its values gets its share of the limit",
    )
    weights: dict[str, Annotated[float, Field(gt=0)]] | Literal["equal"] = Field(
        default={}, description="value → how many times its share of the data it is to have; or equal"
    )
    ids: list[Annotated[str, Field(min_length=1)]] = Field(default=[], description="only the samples with these ids")

    @model_validator(mode="after")
    def _weighs_something(self) -> SamplingDef:
        if self.weights and not self.stratify:
            raise problem("weights belong to values of a field: say which with `stratify:`", "weights")
        return self


def of(definition: SamplingDef) -> Sampling:
    """The sampling that a use case's front matter says."""
    said = {name: getattr(definition, name) for name in SamplingDef.model_fields}
    return Sampling(**{**said, "ids": tuple(definition.ids)})


def told(sampling: Sampling, settings: Settings, failing: Collection[str] | None = None) -> Sampling:
    """The sampling with what the command line says in place of what the use case says.

    Args:
        sampling: of the use case.
        settings: `limit`, `seed`, `stratify`, `weights` and `ids`.
        failing: the ids that failed before, for `only_failing`; see `failing_ids`.

    Raises:
        UsageError: there are weights, and nobody says of which field.
    """
    stratify = settings.stratify or sampling.stratify
    if settings.weights and not stratify:
        raise UsageError("weights belong to values of a field", hint="say which: --llmbench-stratify FIELD")
    is_other = stratify != sampling.stratify
    return sampling.narrowed(
        limit=settings.limit,
        seed=settings.seed,
        stratify=stratify,
        weights={} if is_other and settings.weights is None else settings.weights,
        ids=settings.ids or None,
        failing=failing,
    )


def failing_ids(results: Iterable[TestResult]) -> frozenset[str]:
    """The ids of samples that were not right in these results: wrong, unscored, or not answered at all."""
    return frozenset(each.sample for each in results if each.sample and each.outcome not in _NOT_FAILING)
