"""The table of faults, held against what happens: the real asker, the real demo provider, real connections."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from asked_models import resolved
from noted import Noted

from pytest_llmbench import http
from pytest_llmbench.asker.fault_table import EXPECTED, MIXED, Expected, Mixed
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.means import Means, OnHeaders, OnText
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.demo import Answer, ChatBody, DemoProvider, Page
from pytest_llmbench.demo.faults import FAULTS, Case
from pytest_llmbench.demo.forms import ANTHROPIC, OPENAI
from pytest_llmbench.demo.prices import PRICE
from pytest_llmbench.errors import InfraError
from pytest_llmbench.observe.calls import CallEnded, Outcome
from pytest_llmbench.records import FailedAttempt, Reply, Target
from pytest_llmbench.secret import NO_KEY

DEADLINES = http.Deadlines(connect_s=20, ttft_s=0.6, idle_s=0.6, total_s=20)
SHORTER = 200
"""Waits are the longest that may be drawn, and so many times shorter."""
WAYS = tuple(product(("openai", "anthropic"), (True, False)))


@dataclass
class Told:
    """What came of a question."""

    outcome: Reply | InfraError
    failed: list[FailedAttempt]
    calls: list[CallEnded]

    @property
    def waits_s(self) -> list[float]:
        """Before each further request, as long as they usually are at most."""
        return [each.retry_in_s * SHORTER for each in self.calls if each.retry_in_s is not None]


def _ask(asked: list[Question]) -> list[Told]:
    """Ask each of an asker of its own, all at once."""
    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(_ask_one, asked))


def _ask_one(asked: Question) -> Told:
    failed, noted = list[FailedAttempt](), Noted()
    asker = LocalAsker(_means(failed, noted), Rules(jitter=lambda _, high: high / SHORTER))
    try:
        return Told(asker.get(asked), failed, noted.calls)
    except InfraError as error:
        return Told(error, failed, noted.calls)
    finally:
        asker.close()


def _means(failed: list[FailedAttempt], noted: Noted) -> Means:
    pool = http.Pool()

    async def send(asked: Question, on_headers: OnHeaders, on_text: OnText | None) -> Reply:
        chat = FORMATS[asked.target.format]
        endpoint = Endpoint.of(asked.target, NO_KEY)
        return await chat(endpoint, asked.request, DEADLINES, pool=pool, on_headers=on_headers, on_text=on_text)

    def keep_failed(_: Question, attempt: FailedAttempt) -> Future[Any]:
        failed.append(attempt)
        return resolved(None)

    return Means(send=send, keep=lambda _, reply: resolved(reply), keep_failed=keep_failed, observer=noted)


def _question(url: str, model: str, wire: str, text: str, *, streamed: bool) -> Question:
    target = Target(f"demo/{model}", "demo", model, wire, url, price=PRICE)
    message = {"role": "user", "content": f"{text} {wire} {'streamed' if streamed else 'whole'}: one two three four"}
    request = ChatRequest(target.name, (message,), max_tokens=100, stream=streamed)
    return Question(target, request, "test", request.hash())


@pytest.fixture(scope="module")
def provider() -> Iterator[DemoProvider]:
    with DemoProvider() as running:
        yield running


def test_every_fault_of_the_demo_provider_stands_in_the_table() -> None:
    """In its order, each once."""
    assert [each.fault for each in EXPECTED] == list(FAULTS)


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row.fault)
def test_where_it_goes_wrong_each_time(row: Expected, provider: DemoProvider) -> None:
    """Category, requests made, waits between them, cost booked for each, outcome; in both formats, streamed or not."""
    times = len(row.waits_s) if row.goes_on else 0
    model = f"echo+{row.fault}+times={times}+delay_s=1+size_mb=66"
    asked = [_question(provider.url, model, wire, "each time", streamed=streamed) for wire, streamed in WAYS]
    for (wire, streamed), told in zip(WAYS, _ask(asked), strict=True):
        category = row.category if streamed else row.whole
        if category is None:
            assert isinstance(told.outcome, Reply)
            assert told.outcome.attempts == 1
            continue
        assert [each.category for each in told.failed] == [category] * (times or row.requests)
        assert [each.cost.source for each in told.failed] == [row.cost] * (times or row.requests)
        assert told.waits_s == pytest.approx(row.waits_s)
        if row.goes_on:
            _is_answered(told, row.requests, wire)
        else:
            assert isinstance(told.outcome, InfraError)
            assert told.outcome.category is category
            assert not told.waits_s or "tried 3 times; in the same way each time" in str(told.outcome)


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row.fault)
def test_where_only_the_first_attempt_goes_wrong(row: Expected, provider: DemoProvider) -> None:
    """What passes is answered by the second request, and both are booked; what does not has failed by then."""
    model = f"echo+{row.fault}+times=1+delay_s=1+size_mb=66"
    asked = [_question(provider.url, model, wire, "once", streamed=streamed) for wire, streamed in WAYS]
    for (wire, streamed), told in zip(WAYS, _ask(asked), strict=True):
        if (row.category if streamed else row.whole) is None:
            _is_answered(told, 1, wire)
        elif row.is_answered:
            _is_answered(told, 2, wire)
            assert told.waits_s == pytest.approx(row.waits_s[:1])
        else:
            assert isinstance(told.outcome, InfraError)
            assert len(told.failed) == 1


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row.fault)
def test_a_fault_is_seen_at_an_answer_of_one_word(row: Expected, provider: DemoProvider) -> None:
    """As the table says: half of so little is not all of it."""
    model = f"facts+{row.fault}+times=1+delay_s=1+size_mb=66"
    asked = [_question(provider.url, model, wire, "What is 12 + 30?", streamed=streamed) for wire, streamed in WAYS]
    for (_, streamed), told in zip(WAYS, _ask(asked), strict=True):
        category = row.category if streamed else row.whole
        assert [each.category for each in told.failed] == ([] if category is None else [category])


def _is_answered(told: Told, requests: int, wire: str) -> None:
    assert isinstance(told.outcome, Reply)
    assert told.outcome.attempts == requests == len(told.failed) + 1
    assert told.outcome.cost.source == ("billed" if wire == "openai" else "priced")
    assert told.outcome.cost.spent > 0
    assert told.calls[-1].outcome is Outcome.ANSWERED


@pytest.mark.parametrize("mixed", MIXED, ids=lambda mixed: "-".join(mixed.faults))
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_where_one_thing_goes_wrong_after_another(mixed: Mixed, wire: str) -> None:
    """Each attempt shows another fault: what counts as an attempt, what ends it, what is booked."""
    form = OPENAI if wire == "openai" else ANTHROPIC
    left = list(mixed.faults)

    def react(body: ChatBody) -> Page:
        page = form.answer(Answer("one two three four five six"), body)
        if not left:
            return page
        return FAULTS[left.pop(0)].page(Case(page=page, form=form, retry_after_s=None, delay_s=1, size_mb=1))

    with DemoProvider(react) as provider:
        (told,) = _ask([_question(provider.url, "any", wire, "mixed", streamed=True)])
        requests = len(provider.chats())
    assert requests == mixed.requests
    assert tuple(each.cost.source for each in told.failed) == mixed.costs
    if mixed.ends_as is None:
        assert isinstance(told.outcome, Reply)
        assert told.outcome.attempts == requests
    else:
        assert isinstance(told.outcome, InfraError)
        assert told.outcome.category is mixed.ends_as


def test_all_faults_side_by_side_do_not_touch_each_other(provider: DemoProvider) -> None:
    """A model a fault, all asked at once by one asker: each question ends as its row says, each attempt is booked."""
    failed: list[FailedAttempt] = []
    asker = LocalAsker(_means(failed, Noted()), Rules(jitter=lambda _, high: high / SHORTER))
    rows = [row for row in EXPECTED if row.fault not in {"huge", "slow-headers", "stall"}]
    asked = {
        row.fault: [
            _question(provider.url, f"echo+{row.fault}+times=1", "openai", f"beside {number}", streamed=True)
            for number in range(8)
        ]
        for row in rows
    }
    before = len(provider.chats())
    asker.plan([each for several in asked.values() for each in several])
    for row in rows:
        for each in asked[row.fault]:
            if row.is_answered:
                assert asker.get(each).attempts == 2
            else:
                with pytest.raises(InfraError) as caught:
                    asker.get(each)
                assert caught.value.category is row.category
    states = {model.breaker for model in asker.status().models}
    asker.close()
    assert states == {"closed"}
    assert len(failed) == 8 * len(rows)
    assert len(provider.chats()) - before == 8 * sum(1 + row.is_answered for row in rows)
