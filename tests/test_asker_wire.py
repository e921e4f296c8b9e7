"""The asker against a provider that enforces its limits and bills, over real connections and a real database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from store_samples import run as stored_run

from pytest_llmbench import http
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.means import Means, OnHeaders, OnText
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.clients.formats import FORMATS
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.demo.prices import PRICE
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.records import FailedAttempt, Limits, Reply, Target
from pytest_llmbench.secret import NO_KEY
from pytest_llmbench.store import Store

DEADLINES = http.Deadlines(connect_s=30, ttft_s=30, idle_s=30, total_s=60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(stored_run())
        yield opened


def _means(store: Store) -> Means:
    pool = http.Pool()

    async def send(asked: Question, on_headers: OnHeaders, on_text: OnText | None) -> Reply:
        endpoint = Endpoint.of(asked.target, NO_KEY)
        chat = FORMATS[asked.target.format]
        return await chat(endpoint, asked.request, DEADLINES, pool=pool, on_headers=on_headers, on_text=on_text)

    def keep(asked: Question, reply: Reply) -> Future[Reply]:
        return store.keep_reply("run-1", asked.test_key, asked.ordinal, {}, reply)

    def keep_failed(asked: Question, attempt: FailedAttempt) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(store.save_failed_attempt("run-1", asked.test_key, attempt))
        return done

    return Means(send=send, keep=keep, keep_failed=keep_failed)


def _question(url: str, number: int, model: str, max_tokens: int = 100) -> Question:
    target = Target(f"demo/{model}", "demo", model, "openai", url, price=PRICE)
    message: Mapping[str, str] = {"role": "user", "content": f"question {number}"}
    request = ChatRequest(target.name, (message,), max_tokens=max_tokens, stream=max_tokens < 1000)
    return Question(target, request, f"test_{number}", f"hash {model} {number}")


def test_a_provider_that_allows_few_at_once_gets_few_at_once_and_answers_all(store: Store) -> None:
    """Refusals with Retry-After are obeyed, and the limit settles; the database holds each reply once."""
    with DemoProvider(limits=Limits(concurrency=5), traits={"latency_s": 0.01}) as provider:
        asker = LocalAsker(_means(store))
        replies = asker.get_all([_question(provider.url, number, "echo") for number in range(60)])
        asker.close()
        counts = provider.counts
    assert counts.by_status[200] == len({reply.id for reply in replies}) == 60
    assert sum(reply.attempts - 1 for reply in replies) == counts.by_status[429]
    assert len(store.load_run("run-1").failed_attempts) == counts.by_status[429]


def test_fifty_requests_at_once_never_cost_more_than_a_dollar(store: Store) -> None:
    """Answers of many lengths, broken streams, 5xx and refusals: what was really generated stays below the cap."""
    lengths, faults = (500, 2000, 8000), ("", "+truncated", "+server-error", "+rate-limit+retry_after_s=0.05")
    models = [f"echo+tokens={length}{fault}" + "+share=0.1" * bool(fault) for length in lengths for fault in faults]
    with DemoProvider(traits={"latency_s": 0.005}) as provider:
        asked = [
            _question(provider.url, number, models[number % 12], lengths[number % 12 // 4]) for number in range(180)
        ]
        save = partial(store.order_spending, "run-1")
        budget = Budget(Caps(run=Decimal(1)), save=save, earlier=store.spent("run-1"))
        asker = LocalAsker(_means(store), Rules(max_concurrency=50), budget=budget)
        asker.plan(asked)
        over = sum(_is_over(asker, each) for each in asked)
        left = Decimal(asker.status().budget_left_usd)
        asker.close()
        calls = [call for call in provider.log if call.is_chat and call.status == 200]
    generated = sum(int(call.body["model"].split("tokens=")[1].split("+")[0]) for call in calls)
    spent = sum(store.spent("run-1").by_model.values())
    assert over > 0
    assert Decimal("0.2") < generated * Decimal(PRICE.output) <= 1
    assert 0 <= left <= 1 - spent


def _is_over(asker: LocalAsker, asked: Question) -> bool:
    try:
        asker.get(asked)
    except LlmbenchError as error:
        return type(error).__name__ == "OverBudgetError"
    return False
