"""Batch APIs: submitted once, collected later, stored as asked replies are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from asking import PATIENT
from store_samples import run as a_run

from pytest_llmbench import http
from pytest_llmbench.asker import batch_api
from pytest_llmbench.asker.batch_collect import Collected, collect
from pytest_llmbench.asker.batch_questions import pending
from pytest_llmbench.asker.batch_submit import Submitted, submit
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import OverBudgetError, UsageError, WireError
from pytest_llmbench.providers.table import DEMO_URL
from pytest_llmbench.records import Price, Target
from pytest_llmbench.store import Store, spending

RUN = "run-1"
PRICE = Price(input="0.001", output="0.002")
FORMATS = pytest.mark.parametrize("form", ["openai", "anthropic"])


class _KilledError(Exception):
    """Whoever submits ends here."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(a_run(RUN))
        yield opened


def target(provider: DemoProvider, model: str = "facts", form: str = "openai") -> Target:
    return Target(f"demo/{model}", "demo", model, form, provider.url, price=PRICE)


def questions(of: Target, *texts: str) -> list[Question]:
    return [
        Question(
            of,
            ChatRequest(of.name, ({"role": "user", "content": text},), max_tokens=50),
            f"test_it[{number}]",
            f"hash-{text}",
        )
        for number, text in enumerate(texts)
    ]


def submitted(store: Store, asked: Sequence[Question], **options: object) -> Submitted:
    return http.run(submit(store, RUN, asked, Endpoint.of, **options))


def collected(store: Store, **options: object) -> Collected:
    return http.run(collect(store, RUN, Endpoint.of, **options))


def texts(store: Store) -> list[str]:
    return [reply.text for reply in store.load_run(RUN).replies]


@FORMATS
def test_replies_of_a_batch_are_stored_as_asked_ones_are(store: Store, form: str) -> None:
    """At their places, with their tokens, and never by a chat request."""
    with DemoProvider() as provider:
        asked = questions(target(provider, form=form), "What is 2 + 3?", "The capital of France?")
        assert submitted(store, asked) == Submitted(1, 2)
        assert collected(store) == Collected(done=2)
        assert provider.chats() == []
    stored = store.stored_replies(RUN)
    replies = [stored[q.test_key, q.request_hash, q.ordinal] for q in asked]
    assert [reply.text for reply in replies] == ["5", "Paris"]
    assert replies[0].usage.prompt_tokens == 5
    assert {(reply.model, reply.role, reply.finish_reason) for reply in replies} == {("demo/facts", "subject", "stop")}


def test_a_batch_costs_half_of_the_price(store: Store) -> None:
    """Where nobody bills: tokens × price / 2."""
    with DemoProvider() as provider:
        submitted(store, questions(target(provider, form="anthropic"), "What is 2 + 3?"))
        collected(store)
    (reply,) = store.load_run(RUN).replies
    assert (reply.cost.usd, reply.cost.source) == ("0.0035", "priced")


def test_what_the_provider_bills_for_a_batch_is_taken_as_it_is(store: Store) -> None:
    """The demo bills half, and it is not halved again."""
    with DemoProvider() as provider:
        submitted(store, questions(target(provider), "What is 2 + 3?"))
        collected(store)
    (reply,) = store.load_run(RUN).replies
    assert (reply.cost.amount, reply.cost.source) == (Decimal("0.0000045"), "billed")


@FORMATS
def test_a_batch_that_is_not_done_is_pending(store: Store, form: str) -> None:
    """Its questions are named, and submitting or collecting again asks nothing twice."""
    with DemoProvider(batch_s=3600) as provider:
        asked = questions(target(provider, form=form), "a", "b")
        submitted(store, asked)
        assert pending(store, RUN).keys() == {question.id for question in asked}
        assert "demo/facts: submitted at" in pending(store, RUN)[asked[0].id]
        assert submitted(store, asked) == Submitted(0, 0)
        assert collected(store) == Collected(pending=2)


def test_what_is_stored_already_is_not_submitted(store: Store) -> None:
    """After a batch was collected, only new questions go out."""
    with DemoProvider() as provider:
        of = target(provider)
        submitted(store, questions(of, "a"))
        collected(store)
        assert submitted(store, questions(of, "a", "b")) == Submitted(1, 1)


@FORMATS
def test_refused_and_expired_requests_fail_and_the_others_are_kept(store: Store, form: str) -> None:
    """They are failed attempts, not pending any more, and may be submitted anew."""
    with DemoProvider() as provider:
        good = target(provider, form=form)
        bad = [target(provider, f"facts+{fault}", form) for fault in ("context-length", "expired")]
        asked = [replace(question, target=each) for each in (good, *bad) for question in questions(good, each.model_id)]
        one_model = [replace(question, target=replace(question.target, name="demo/facts")) for question in asked]
        with_models = [one_model[0]]
        assert submitted(store, with_models).batches == 1
        for question in one_model[1:]:
            submitted(store, [question])
        found = collected(store)
        assert (found.done, found.pending, found.failed) == (1, 0, 2)
        assert any("prompt is too long" in note for note in found.notes)
        assert pending(store, RUN) == {}
        assert submitted(store, one_model) == Submitted(1, 2)
    failed = store.load_run(RUN).failed_attempts
    assert {attempt.category for attempt in failed} == {"context_length", "cancelled"}
    assert {attempt.cost.source for attempt in failed} == {"refused"}


@FORMATS
def test_a_batch_that_was_cancelled_has_no_replies(store: Store, form: str) -> None:
    """Whoever cancels it at the provider frees its questions."""
    with DemoProvider(batch_s=3600) as provider:
        submitted(store, questions(target(provider, form=form), "a"))
        (batch,) = store.batches(RUN)
        path = "/v1/batches" if form == "openai" else "/v1/messages/batches"
        request = http.Request("POST", f"{provider.url}{path}/{batch.provider_id}/cancel")
        http.run(http.fetch(request, PATIENT))
        found = collected(store)
    assert (found.done, found.failed) == (0, 1)
    assert "cancel" in found.notes[0]


@FORMATS
def test_a_kill_between_submitting_and_writing_it_down_asks_nothing_twice(
    store: Store, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider has it, we were never told: it is found there."""
    api = batch_api.APIS[form]

    async def killed(endpoint: Endpoint, bodies: object) -> str:
        await api.create(endpoint, bodies)
        raise _KilledError

    with DemoProvider() as provider:
        asked = questions(target(provider, form=form), "What is 1 + 1?")
        with monkeypatch.context() as patched:
            patched.setitem(batch_api.APIS, form, replace(api, create=killed))
            with pytest.raises(_KilledError):
                submitted(store, asked)
        assert submitted(store, asked) == Submitted(0, 0)
        assert collected(store) == Collected(done=1)
    assert texts(store) == ["2"]


def test_what_never_reached_the_provider_is_free_again(store: Store) -> None:
    """Nobody listened: collecting finds out that there is no such batch."""
    with DemoProvider() as provider:
        of = target(provider)
        nobody = replace(of, base_url="http://127.0.0.1:9")
        with pytest.raises(WireError):
            submitted(store, questions(nobody, "a"))
        assert len(pending(store, RUN)) == 1
        found = http.run(collect(store, RUN, lambda _: Endpoint.of(of)))
        assert (found.failed, found.pending) == (1, 0)
        assert "never submitted" in found.notes[0]
        assert submitted(store, questions(of, "a")) == Submitted(1, 1)


def test_a_provider_that_cannot_be_reached_keeps_its_batch_pending(store: Store) -> None:
    """A failed look is a note, not a loss."""
    with DemoProvider() as provider:
        submitted(store, questions(target(provider), "a"))
    found = collected(store)
    assert found.pending == 1
    assert "127.0.0.1" in found.notes[0]


def test_a_provider_without_a_batch_api_is_told_before_anything_is_pending(store: Store) -> None:
    """What was refused for certain is with nobody."""
    with DemoProvider() as provider:
        of = replace(target(provider), base_url=provider.url + "/v1/nowhere")
        with pytest.raises(WireError, match="may have no batch API"):
            submitted(store, questions(of, "a"))
    assert pending(store, RUN) == {}


def test_more_than_a_batch_takes_goes_out_in_several(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number of requests."""
    monkeypatch.setattr(batch_api, "MOST_REQUESTS", 2)
    with DemoProvider() as provider:
        asked = questions(target(provider), "a", "b", "c", "d", "e")
        assert submitted(store, asked) == Submitted(3, 5)
        assert collected(store) == Collected(done=5)


def test_the_budget_holds_half_the_worst_case_until_the_replies_come(store: Store) -> None:
    """Reserved in the database before anything is submitted; settled by what it cost."""
    budget = Budget(Caps(run=Decimal(10)), save=lambda entry: store.submit(spending.save, (RUN, entry)))
    with DemoProvider() as provider:
        asked = questions(target(provider, form="anthropic"), "What is 2 + 3?")
        submitted(store, asked, budget=budget)
        (reserved,) = store.spent(RUN).rows
        assert (reserved.state, Decimal(reserved.reserved_usd)) == ("reserved", worst_case_of(asked[0]) / 2)
        collected(store)
    (settled,) = store.spent(RUN).rows
    assert (settled.state, settled.settled_usd) == ("settled", "0.0035")


def test_a_batch_over_the_budget_is_not_submitted(store: Store) -> None:
    """Nothing goes out, nothing stays reserved."""
    budget = Budget(Caps(run=Decimal("0.0001")), save=lambda entry: store.submit(spending.save, (RUN, entry)))
    with DemoProvider() as provider:
        with pytest.raises(OverBudgetError):
            submitted(store, questions(target(provider), "a"), budget=budget)
        assert provider.log == []
    assert pending(store, RUN) == {}


def test_a_batch_needs_texts_in_the_store_and_a_provider_that_outlives_the_run(store: Store) -> None:
    """Both are said before anything is submitted."""
    with DemoProvider() as provider:
        of = target(provider)
        with pytest.raises(UsageError, match="hold no texts"):
            submitted(store, questions(of, "a"), keep_prompts=False)
        with pytest.raises(UsageError, match="outlive"):
            submitted(store, questions(replace(of, base_url=DEMO_URL), "a"))
        with pytest.raises(UsageError, match="'azure'"):
            submitted(store, questions(replace(of, format="azure"), "a"))


def test_every_reply_that_came_is_recorded(store: Store) -> None:
    """For the cassette."""
    seen: list[tuple[str, str]] = []
    with DemoProvider() as provider:
        asked = questions(target(provider), "What is 2 + 2?")
        submitted(store, asked)
        collected(store, record=lambda question, reply: seen.append((question.id, reply.text)))
    assert seen == [(asked[0].id, "4")]
