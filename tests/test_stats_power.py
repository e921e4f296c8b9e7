"""What would be found, before anything is spent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_effectsize

from pytest_llmbench.stats.paired import mcnemar_power
from pytest_llmbench.stats.power import MeanStudy, RateStudy, RatioStudy, alpha_each, n_for, smallest_effect

studies = st.one_of(
    st.builds(RateStudy, rate=st.floats(0.1, 0.9), paired=st.booleans()),
    st.builds(MeanStudy, deviation=st.floats(0.05, 1), paired=st.booleans()),
    st.builds(RatioStudy, deviation=st.floats(0.01, 0.5), paired=st.booleans()),
)


@pytest.mark.parametrize(("d", "each"), [(0.2, 393), (0.5, 64), (0.8, 26)])
def test_cohens_own_table(d, each):
    """Small, medium and large effects found four times of five at 5 % (Cohen, Psychol. Bull. 112, 1992, table 2)."""
    assert n_for(MeanStudy(1.0, paired=False), d) in {each, each + 1}


@pytest.mark.parametrize(("n", "effect"), [(3, 1.5), (12, 0.3), (12, 1.5), (80, 0.02), (80, 0.5), (2000, 0.1)])
def test_means_have_the_power_of_statsmodels(n, effect):
    """Paired and unpaired, by the noncentral t, to 1e-9."""
    theirs = TTestPower().power(effect, n, 0.05)
    assert MeanStudy(1.0).power_of(n, effect) == pytest.approx(theirs, abs=1e-9)
    theirs = TTestIndPower().power(effect, n, 0.01)
    assert MeanStudy(1.0, paired=False, alpha=0.01).power_of(n, effect) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("rate", "effect", "n"), [(0.8, 0.05, 500), (0.3, 0.1, 90), (0.95, 0.02, 2000)])
def test_unpaired_rates_have_the_power_of_statsmodels(rate, effect, n):
    """By Cohen's h, to 1e-9; the other rate lies towards the middle."""
    other = rate - effect if rate >= 0.5 else rate + effect
    theirs = NormalIndPower().power(proportion_effectsize(rate, other), n, 0.05)
    assert RateStudy(rate, paired=False).power_of(n, effect) == pytest.approx(theirs, abs=1e-9)


def test_paired_rates_have_mcnemars_exact_power():
    """With as many that differ as told, or rate × (1 − rate); very many by the normal distribution, without a step."""
    assert RateStudy(0.8, discordant=0.1).power_of(300, 0.05) == pytest.approx(mcnemar_power(300, 0.05, 0.1))
    assert RateStudy(0.8).power_of(300, 0.05) == pytest.approx(mcnemar_power(300, 0.05, 0.16))
    study = RateStudy(0.5, discordant=0.2)
    assert study.power_of(20_001, 0.009) == pytest.approx(study.power_of(20_000, 0.009), abs=0.01)


def test_ranks_of_a_few_pairs_cannot_reach_a_strict_alpha():
    """Five of five the same way is p = 0.06: nothing is found, whatever its size."""
    study = RatioStudy(0.01)
    assert study.power_of(5, 10.0) == 0
    assert smallest_effect(study, 5) is None
    assert smallest_effect(study, 6) is not None
    assert RatioStudy(0.01, paired=False).power_of(3, 10.0) == 0


def test_the_power_of_ranks_is_what_wilcoxons_test_has():
    """Simulated: 20 pairs of log-normal times with 10 % of noise each, 10 % slower."""
    study = RatioStudy.of_cv(0.1)
    random = np.random.default_rng(1)
    changes = random.normal(math.log(1.1), study.deviation, (2000, 20))
    found = np.mean([scipy_stats.wilcoxon(each, method="asymptotic").pvalue < 0.05 for each in changes])
    assert study.power_of(20, 0.1) == pytest.approx(found, abs=0.03)


def test_pairs_that_share_the_machines_mood_need_fewer():
    """A correlation of 0.9 within pairs is worth ten times as many."""
    alone = n_for(RatioStudy.of_cv(0.3, correlation=0.0), 0.1)
    together = n_for(RatioStudy.of_cv(0.3, correlation=0.9), 0.1)
    assert 8 < alone / together < 11


@given(study=studies, n=st.integers(10, 300))
@settings(max_examples=60, deadline=None)
def test_the_smallest_effect_is_just_found(study, n):
    """It reaches the power, and a tenth less does not; asked how many it needs, at most so many."""
    size = smallest_effect(study, n)
    if size is None:
        return
    assert study.power_of(n, size) >= 0.8
    assert study.power_of(n, 0.9 * size) < 0.8
    assert n_for(study, size) <= n


def test_alpha_is_shared_among_gates():
    """Ten one-sided gates at 1 % in all: each two-sided at 0.2 %."""
    assert alpha_each(0.01, 10) == pytest.approx(0.002)
    assert alpha_each(0.05, 1, sides=2) == 0.05
    assert alpha_each(0.01, 0) == 0.02


def test_what_cannot_be_found_is_no_number():
    """A difference of a hair, no samples, no spread."""
    assert n_for(RateStudy(0.8, paired=False), 1e-5) is None
    assert smallest_effect(MeanStudy(1.0), 0) is None
    assert smallest_effect(MeanStudy(1.0), 1) is None
    assert MeanStudy(0.0).power_of(10, 0.1) == 1.0
    assert smallest_effect(RatioStudy(0.0), 20) < 1e-7
