"""The samples of use cases as they were asked: each once for a model and prompt, with all tests of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Evaluation, Outcome, TestResult

_DECIDES = (
    Outcome.WRONG,
    Outcome.TEST_ERROR,
    Outcome.INFRA_ERROR,
    Outcome.OVER_BUDGET,
    Outcome.PENDING,
    Outcome.UNSCORED,
)
"""Of several tests of one sample the first of these that occurs is how it ended."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One sample that one model was asked by one prompt, and all tests of it."""

    model: str
    found: Evaluation
    outcome: str
    """How it ended: any wrong test makes it wrong."""
    results: tuple[TestResult, ...]

    @property
    def passed(self) -> bool | None:
        """Whether it was right; None where it was only measured, or has no score."""
        if self.outcome == Outcome.WRONG:
            return False
        is_only_measured = self.found.passed is None and self.found.value is not None
        return True if self.outcome == Outcome.RIGHT and not is_only_measured else None

    @property
    def value(self) -> float | None:
        """Its score, 0 to 1; None where it has none that could be compared."""
        return share_or_none(self.found.value) if self.outcome in {Outcome.RIGHT, Outcome.WRONG} else None

    @property
    def bound_passed(self) -> bool | None:
        """As `passed`, without what judges said that only advise."""
        if not self.found.advised:
            return self.passed
        if any(result.outcome == Outcome.WRONG and not _is_advice(result.evaluation) for result in self.results):
            return False
        return self.found.bound_passed if self.outcome in {Outcome.RIGHT, Outcome.WRONG} else None

    @property
    def bound_value(self) -> float | None:
        """As `value`, without what judges said that only advise."""
        if not self.found.advised:
            return self.value
        return share_or_none(self.found.bound_value) if self.outcome in {Outcome.RIGHT, Outcome.WRONG} else None

    @property
    def weight(self) -> float:
        """For how many samples of the whole it stands."""
        weight = self.found.weight
        return weight if math.isfinite(weight) and weight > 0 else 1.0

    @property
    def document(self) -> str:
        """Which document it is about, where the use case tells results apart by a column of that name; or ""."""
        return str(self.found.slices.get("document", ""))

    @property
    def reply_ids(self) -> tuple[str, ...]:
        """All calls that were made for it."""
        return tuple(dict.fromkeys(each for result in self.results for each in result.reply_ids))

    @property
    def test_keys(self) -> tuple[str, ...]:
        return tuple(result.key for result in self.results)


def share_or_none(value: float | None) -> float | None:
    """A value from 0 to 1; None of anything else that a database may hold."""
    return value if value is not None and 0 <= value <= 1 else None


def _is_advice(found: Evaluation | None) -> bool:
    return found is not None and found.is_only_advised


def by_case(results: Iterable[TestResult]) -> list[list[Asked]]:
    """The samples of each use case, in the order in which they came; one that was damaged beside the clean one.

    What is planted beside them is none of them, see `planted`.
    """
    return _by_case(result for result in results if not _rides_along(result.evaluation))


def planted(results: Iterable[TestResult]) -> list[Asked]:
    """What was planted beside the samples of use cases to try out their judges."""
    return [each for case in _by_case(result for result in results if _rides_along(result.evaluation)) for each in case]


def _rides_along(found: Evaluation | None) -> bool:
    return found is not None and found.labelled is not None and found.labelled.rides_along


def _by_case(results: Iterable[TestResult]) -> list[list[Asked]]:
    found: dict[tuple[str, str], dict[tuple[str, str, str, str], list[TestResult]]] = {}
    for result in results:
        if (said := result.evaluation) is not None:
            case = found.setdefault((said.use_case, said.page), {})
            case.setdefault((result.model, said.prompt, said.sample, said.corruption), []).append(result)
    return [[_asked(model, same) for (model, *_), same in case.items()] for case in found.values()]


def _asked(model: str, results: Sequence[TestResult]) -> Asked:
    known = [result.evaluation for result in results if result.evaluation is not None]
    fullest = max(known, key=lambda found: (found.passed is False, found.value is not None, len(found.scores)))
    return Asked(model, fullest, _outcome([str(result.outcome) for result in results]), tuple(results))


def _outcome(outcomes: Sequence[str]) -> str:
    first = next((str(outcome) for outcome in _DECIDES if outcome in outcomes), None)
    return first or next((outcome for outcome in outcomes if outcome != Outcome.SKIPPED), str(Outcome.SKIPPED))
