"""A dataset against API models: one test a row and model, asked ahead of the tests, within a budget.

Run it with `llmbench run example_suites/api` (or plain `pytest`). It needs no key: `demo/…` models answer by rules.
"""

import pytest

MODELS = "demo/facts", "demo/json"


@pytest.mark.models(*MODELS)
@pytest.mark.dataset("questions.jsonl", input="question", expected="answer", max_tokens=60)
def test_the_answer_is_known(reply, sample):
    assert sample.expected in reply.text


@pytest.mark.models("demo/sentiment")
@pytest.mark.dataset("reviews.csv", prompt="Is this review positive, negative or neutral? {{review}}", max_tokens=20)
def test_reviews_are_told_apart(reply, sample):
    assert reply.text.strip().lower().startswith(sample.expected)


@pytest.mark.models("demo/facts")
@pytest.mark.dataset("questions.jsonl", input="question", expected="answer", max_tokens=60)
def test_most_of_them_are_known(model, dataset):
    replies = model.ask_all(dataset)
    right = sum(sample.expected in reply.text for sample, reply in zip(dataset, replies, strict=True))
    assert right >= 4


@pytest.mark.models("demo/echo")
def test_the_text_comes_in_pieces(model):
    live = model.stream("one two three four", max_tokens=20)
    assert len(list(live)) > 1
    assert "three" in live.reply.text
