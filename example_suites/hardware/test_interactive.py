"""What a person feels at the keyboard: short prompts, one at a time."""

import pytest


@pytest.fixture(scope="module")
def chat(bench, subject):
    return bench(subject, profile="interactive")


def test_an_answer_starts_before_one_looks_away(chat):
    assert chat.ttft_s.p95 < 10


def test_text_appears_as_fast_as_one_reads(chat):
    assert chat.decode_tps.p50 > 5.3  # 238 words a minute


def test_nothing_it_was_rated_by_failed(chat):
    assert chat.rating != "failed", chat.sentence
