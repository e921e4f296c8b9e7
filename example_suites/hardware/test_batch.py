"""Documents overnight: one after another, then several at once."""

import pytest


@pytest.fixture(scope="module")
def overnight(bench, subject):
    return bench(subject, profile="batch")


def test_ten_documents_would_be_done_in_a_night(overnight):
    assert overnight.documents_per_hour.max * 8 > 10


def test_every_document_was_timed(overnight):
    assert overnight.s_per_document.n >= 6
