"""The first suite: is this small model quick enough to chat with here, and does it do as it is told?

Run it with `llmbench run example_suites/quickstart` (or plain `pytest`). It fetches the model once (98 MB).
"""

import pytest

MODEL = "smollm2-135m:Q4_1"


@pytest.fixture(scope="module")
def chat(llama_server, bench):
    """Short prompts, one user, streamed: measured once, asked about by several tests."""
    return bench(llama_server(MODEL), profile="interactive")


def test_the_first_token_comes_before_one_gets_impatient(chat):
    assert chat.ttft_s.p95 < 10


def test_text_appears_faster_than_one_reads(chat):
    assert chat.decode_tps.p50 > 5.3  # 238 words a minute


@pytest.mark.models(MODEL)
def test_the_model_knows_a_capital(model):
    reply = model.ask("What is the capital of France? Answer with one word.", max_tokens=16)
    assert "Paris" in reply.text


@pytest.mark.models(MODEL)
def test_the_model_knows_the_calendar_and_stops_when_it_is_done(model):
    reply = model.ask("Name the first month of the year.", max_tokens=100)
    assert "January" in reply.text
    assert reply.finish_reason == "stop"
