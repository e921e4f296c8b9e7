"""Batches in the request log: that they went out, how they stand, and a call for each answer that came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from seen_calls import Onlooker
from store_samples import run as a_run

from pytest_llmbench import http
from pytest_llmbench.asker.batch_collect import collect
from pytest_llmbench.asker.batch_submit import submit
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import WireError
from pytest_llmbench.observe import spans
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import Price, Target
from pytest_llmbench.store import Store

RUN = "run-1"
FORMATS = pytest.mark.parametrize("form", ["openai", "anthropic"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(a_run(RUN))
        yield opened


def questions(provider: DemoProvider, *texts: str, form: str = "openai") -> list[Question]:
    of = Target("demo/facts", "demo", "facts", form, provider.url, price=Price(input="0.001", output="0.002"))
    return [
        Question(of, ChatRequest(of.name, ({"role": "user", "content": text},), max_tokens=50), f"t[{n}]", f"h-{text}")
        for n, text in enumerate(texts)
    ]


def kinds(onlooker: Onlooker) -> list[str]:
    return [str(note.kind) for note in onlooker.noted]


@FORMATS
def test_a_batch_is_told_from_its_submission_to_its_answers(store: Store, form: str) -> None:
    """A note as it goes out, one each time it is looked at, and every reply once, with its tokens and its price."""
    onlooker = Onlooker()
    with DemoProvider(batch_s=0.8) as provider:
        asked = questions(provider, "What is 2 + 3?", "The capital of France?", form=form)
        http.run(submit(store, RUN, asked, Endpoint.of, observer=onlooker))
        assert (kinds(onlooker), onlooker.ended) == (["batch_submitted"], [])
        http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
        assert (kinds(onlooker)[1:], onlooker.ended) == (["batch_looked_at"], [])
        while not store.stored_replies(RUN):
            http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
        told = len(onlooker.noted)
        http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
    assert len(onlooker.noted) == told, "it is collected: nobody looks at it again"
    [batch] = store.batches(RUN)
    assert {note.details["batch"] for note in onlooker.noted} == {batch.provider_id}
    assert {(note.model, note.details["requests"]) for note in onlooker.noted} == {("demo/facts", 2)}
    assert set(kinds(onlooker)[1:]) == {"batch_looked_at"}
    assert [ended.text for ended in onlooker.ended] == ["5", "Paris"]
    stored = {reply.text: reply for reply in store.load_run(RUN).replies}
    for ended in onlooker.ended:
        assert (ended.call.batch, ended.call.stream, ended.duration_s) == (batch.provider_id, False, None)
        assert ended.call.begun_at == batch.submitted_at
        assert (ended.usage, ended.cost) == (stored[ended.text].usage, stored[ended.text].cost)


@FORMATS
def test_a_question_that_its_batch_left_undone_is_a_failed_call(store: Store, form: str) -> None:
    """With its category and what the provider said; the other one is answered."""
    onlooker = Onlooker()

    def one_of_two(body: dict[str, object]) -> Failure | Answer:
        return Failure(400, "not this one") if "France" in str(body["messages"]) else Answer("five")

    with DemoProvider(one_of_two) as provider:
        asked = questions(provider, "What is 2 + 3?", "The capital of France?", form=form)
        http.run(submit(store, RUN, asked, Endpoint.of))
        http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
    outcomes = {ended.call.test_key: (str(ended.outcome), ended.category) for ended in onlooker.ended}
    assert outcomes == {"t[0]": ("answered", ""), "t[1]": ("failed", "invalid_request")}
    assert "not this one" in onlooker.ended[1].message


def test_a_batch_that_is_refused_or_gone_is_told_as_lost(store: Store) -> None:
    """Nobody has it: neither is silent."""
    onlooker = Onlooker()
    with DemoProvider(api_key="right") as provider, pytest.raises(WireError):
        http.run(submit(store, RUN, questions(provider, "a"), Endpoint.of, observer=onlooker))
    assert kinds(onlooker) == [Kind.BATCH_LOST]
    with DemoProvider() as provider:
        asked, port = questions(provider, "b"), int(provider.url.rpartition(":")[2])
        http.run(submit(store, RUN, asked, Endpoint.of, observer=onlooker))
    with DemoProvider(port=port):  # it knows of no batch
        http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
    assert kinds(onlooker) == [Kind.BATCH_LOST, Kind.BATCH_SUBMITTED, Kind.BATCH_LOST]
    assert "not known to the provider any more" in onlooker.noted[-1].message


def test_in_a_trace_an_answer_of_a_batch_stands_where_it_came_and_has_no_length(store: Store) -> None:
    """A span of hours would be nobody's time."""
    onlooker = Onlooker()
    with DemoProvider() as provider:
        http.run(submit(store, RUN, questions(provider, "What is 2 + 3?"), Endpoint.of))
        http.run(collect(store, RUN, Endpoint.of, observer=onlooker))
    [ended] = onlooker.ended
    span = spans.of_call(ended, 1, content=False)
    assert span.start_ns == span.end_ns == spans.nanoseconds(ended.ended_at)
    assert span.attributes["gen_ai.usage.output_tokens"] == ended.usage.completion_tokens
