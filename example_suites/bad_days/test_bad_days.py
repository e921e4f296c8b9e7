"""Providers on a bad day: they refuse, break down and break off; the run comes through, and all of it is on record.

Run it with `llmbench run example_suites/bad_days`, then see what happened with `llmbench log --failed`.
"""

import pytest

QUESTIONS = pytest.mark.dataset("questions.jsonl", input="question", expected="answer", max_tokens=60)


@pytest.mark.models(
    "demo/facts+rate-limit+times=1+retry_after_s=0.5",  # 429 at first, and it says when to come again
    "demo/facts+server-error+times=2",  # 500, twice
    "demo/facts+truncated+times=1",  # the connection ends amid the answer
)
@QUESTIONS
def test_a_question_is_asked_again_where_that_helps(reply, sample):
    assert sample.expected in reply.text


@pytest.mark.models("demo/facts+cut+times=1")  # half an answer that ends as if it were whole
@QUESTIONS
def test_half_an_answer_is_never_taken_for_a_whole_one(reply, sample):
    assert sample.expected in reply.text
