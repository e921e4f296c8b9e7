"""Under heat: generating without a pause."""

import pytest


@pytest.fixture(scope="module")
def endurance(bench, subject):
    return bench(subject, profile="stress")


def test_it_keeps_writing(endurance):
    assert endurance.sustained_tps.p50 > 1


def test_the_processor_stayed_below_its_limit(endurance):
    if not endurance.temperature_c:
        pytest.skip("this machine tells no temperature")
    assert endurance.temperature_c.max < 95
