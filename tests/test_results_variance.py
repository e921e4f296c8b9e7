"""Shares of the variance of scores, from stored trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pytest_llmbench.records import Evaluation, Trial
from pytest_llmbench.results.asked_samples import Asked
from pytest_llmbench.results.variance import variance_of


def sample(name: str, trials: Sequence[Trial], stopped_of: int = 0) -> Asked:
    found = Evaluation("case", name, value=0.5, trials=tuple(trials), stopped_of=stopped_of)
    return Asked("m", found, "right", ())


def tried(*values: float | None) -> list[Trial]:
    return [Trial(value) for value in values]


def panel(*said: Mapping[str, float]) -> list[Trial]:
    return [Trial(0.5, judged=each) for each in said]


def test_replies_that_differ_alone_are_generation() -> None:
    """Every sample is as often right as the others: more repeats tell more."""
    found = variance_of([sample(f"s{n}", tried(0, 1)) for n in range(6)])
    assert found is not None
    assert (found.sample, found.generation, found.judge, found.dominant) == (0, 1, None, "generation")


def test_judges_that_differ_alone_are_judge() -> None:
    """One is strict, one is not, of whatever sample."""
    found = variance_of([sample(f"s{n}", panel({"a": 0.0, "b": 1.0})) for n in range(6)])
    assert found is not None
    assert (found.sample, found.generation, found.judge, found.dominant) == (0, None, 1, "judge")


def test_trials_with_a_panel_tell_all_three_and_add_up() -> None:
    """Samples alternate, every second reply is worse, one judge is a little stricter."""
    replies = [panel({"a": n % 2, "b": n % 2}, {"a": 0.0, "b": 0.4}) for n in range(8)]
    found = variance_of([sample(f"s{n}", trials) for n, trials in enumerate(replies)])
    assert found is not None
    assert found.generation is not None
    assert found.judge is not None
    assert min(found.generation, found.judge) > 0
    assert found.sample + found.generation + found.judge == pytest.approx(1)


@pytest.mark.parametrize(
    "samples",
    [
        [sample(f"s{n}", tried(n % 2)) for n in range(9)],
        [sample(f"s{n}", tried(0, 1)) for n in range(4)],
        [sample(f"s{n}", tried(1, 1)) for n in range(9)],
        [sample(f"s{n}", tried(None, None)) for n in range(9)],
        [],
    ],
)
def test_nothing_is_told_where_nothing_can_be_told(samples: list[Asked]) -> None:
    """One trial each, too few samples, no difference at all, no scores."""
    assert variance_of(samples) is None


def test_trials_that_were_left_out_early_bend_nothing() -> None:
    """Where some samples stopped after two, the third trial of the others is not looked at."""
    early = [sample(f"s{n}", tried(n % 2, n % 2), stopped_of=3) for n in range(6)]
    late = [sample(f"t{n}", tried(0, 1, 1)) for n in range(2)]
    full = [sample(f"t{n}", tried(0, 1)) for n in range(2)]
    assert variance_of([*early, *late]) == variance_of([*early, *full])
