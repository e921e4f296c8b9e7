"""Questions with one right answer, strictly scored. Small models get few of them: what matters is that it is told."""

import pytest


@pytest.fixture(scope="module")
def answers(bench, subject):
    return bench(subject, profile="quality")


def test_every_item_was_scored(answers):
    assert answers.correct.n >= 20


def test_accuracy_is_a_share(answers):
    assert 0 <= answers.accuracy.mean <= 1
