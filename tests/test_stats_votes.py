"""How many independent votes a panel is worth, with and without truth."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_series import share

from pytest_llmbench.stats.votes import effective_votes, effective_votes_without_truth, outvoted

errors = st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=3, max_size=40)


def erring(random: Random, n: int, judges: int, together: float, rate: float = 0.2) -> list[list[float]]:
    """Each judge errs at that rate; pairs of errors have the correlation `together`."""
    rows = []
    for _ in range(n):
        shared = random.random() < rate
        rows.append(
            [float(shared if random.random() < together**0.5 else random.random() < rate) for _ in range(judges)]
        )
    return rows


@settings(deadline=None, max_examples=60)
@given(errors)
def test_votes_are_kishs_design_effect_of_the_mean_correlation(rows: list[list[int]]) -> None:
    """As NumPy correlates the columns; never below 1 or above the judges, and None where one never varies."""
    found, table = effective_votes(rows), np.array(rows, dtype=float)
    if (table.std(0) == 0).any():
        assert found is None
        return
    mean = (np.corrcoef(table.T).sum() - 3) / 6
    assert found is not None
    assert found.correlation == pytest.approx(mean)
    assert found.votes == pytest.approx(min(3.0, max(1.0, 3 / (1 + 2 * max(mean, 0)))))
    assert (found.judges, found.n) == (3, len(rows))
    assert found.low is None or found.high is None or 1 <= found.low <= found.votes <= found.high <= 3


def test_judges_who_err_alike_are_one() -> None:
    """And judges who err on different samples are as many as they are, as far as so few samples can tell."""
    alike = effective_votes([[1, 1, 1], [0, 0, 0], [0, 0, 0], [1, 1, 1]])
    apart = effective_votes([[1, 0], [0, 1], *[[0, 0]] * 18])
    assert alike is not None
    assert apart is not None
    assert alike.votes == pytest.approx(1)
    assert apart.votes == 2
    assert apart.low is not None
    assert apart.low < 1.6


def test_amounts_of_error_correlate_as_well_as_right_and_wrong() -> None:
    """How far off a score was; a sample on which one judge was silent is left out."""
    random = Random(4)
    off = [(random.gauss(0, 1), random.gauss(0, 1)) for _ in range(200)]
    rows: list[list[float | None]] = [[shared, shared + own] for shared, own in off]
    found = effective_votes([*rows, [None, 3.0], [2.0, float("nan")]])
    assert found is not None
    assert (found.n, found.correlation) == (200, pytest.approx(np.corrcoef(np.array(rows, dtype=float).T)[0, 1]))
    assert found.votes < 1.4
    assert found == effective_votes(rows)


@pytest.mark.parametrize("rows", [[], [[1], [0], [1]], [[1, 0], [0, 1]], [[0, 1], [0, 0], [0, 1]]])
def test_where_nothing_correlates_nothing_is_told(rows: list[list[int]]) -> None:
    """No samples, one judge, two samples, a judge who never errs."""
    assert effective_votes(rows) is None


def test_a_missing_column_is_a_mistake() -> None:
    """A silent judge is None, not a shorter row."""
    with pytest.raises(ValueError, match="put None"):
        effective_votes([[1, 0], [1]])


@pytest.mark.parametrize(("judges", "together"), [(3, 0.3), (5, 0.7), (5, 0.0)])
def test_the_interval_holds_the_true_number_of_votes(judges: int, together: float) -> None:
    """At least 90 % of 60 panels of known correlation, 80 samples each."""
    truth = judges / (1 + (judges - 1) * together)

    def covered(random: Random) -> bool:
        found = effective_votes(erring(random, 80, judges, together))
        return bool(found and found.low and found.high) and found.low <= truth <= found.high

    assert share(60, covered) >= 0.90


def test_who_is_outvoted() -> None:
    """Strictly more votes than for every other verdict make a majority; an even split outvotes nobody."""
    assert outvoted(["a", "a", "b", "a", "c"]) == [0, 0, 1, 0, 1]
    assert outvoted([True, True, False, False]) is None
    assert outvoted(["a", "b", "c"]) is None


def test_without_truth_triplets_are_seen_and_the_errors_of_most_are_not() -> None:
    """Three of seven judges that always say the same lower the number; errors that all seven share cannot."""
    random = Random(8)
    apart = [[verdict == 0 for verdict in row] for row in erring(random, 300, 7, 0.0)]
    triplets = [[row[0], row[0], row[0], *row[3:]] for row in apart]
    of_apart, of_triplets = effective_votes_without_truth(apart), effective_votes_without_truth(triplets)
    assert of_apart is not None
    assert of_triplets is not None
    assert of_triplets.votes < 6 < of_apart.votes
    alike = [[verdict == 0 for verdict in row] for row in erring(random, 300, 7, 0.7)]
    known = effective_votes([[float(not verdict) for verdict in row] for row in alike])
    guessed = effective_votes_without_truth(alike)
    assert known is not None
    assert guessed is not None
    assert known.votes < 1.6 < guessed.votes


def test_four_judges_say_nothing_of_their_errors_without_truth() -> None:
    """Never two of them are outvoted together."""
    assert effective_votes_without_truth([[True, False, True, True]] * 30) is None
    assert effective_votes_without_truth([]) is None
