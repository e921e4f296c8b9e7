"""A long document: how long it takes to read, and whether what stood in it is still known."""

import pytest


@pytest.fixture(scope="module")
def reading(bench, subject):
    return bench(subject, profile="long_context")


def test_some_length_of_context_works(reading):
    assert reading.largest_context.max >= 1024


def test_the_prompt_was_read_and_not_remembered(reading):
    """A cached prompt would have been refused; the server's own count says that every token was processed."""
    assert all(r.timing.server["cache_n"] == 0 for r in reading.counted if "cache_n" in r.timing.server)


def test_recall_was_scored(reading):
    assert reading.recall.n > 0
