"""Many users at once."""

import pytest


@pytest.fixture(scope="module")
def service(bench, subject):
    return bench(subject, profile="load")


def test_two_levels_were_served(service):
    throughput = service.tables[0]
    assert len(throughput.rows) >= 2


def test_nobody_was_turned_away(service):
    assert not [r.labels["error"] for r in service.counted if "error" in r.labels]
