"""The account of a budget in the database: what a session that was killed, or had no cap, leaves to the next one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, number_of, question, questions, resolved
from capped_questions import ONE, dollars
from store_samples import run as stored_run

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import Category, OverBudgetError, WireError
from pytest_llmbench.records import Cost, FailedAttempt, Reply, Usage
from pytest_llmbench.results.costs import Ledger
from pytest_llmbench.store import Store


def _kept(store: Store, asked: Question, reply: Reply) -> Future[Reply]:
    return store.keep_reply("run-1", asked.test_key, asked.ordinal, {}, reply)


def _kept_failure(store: Store, asked: Question, attempt: FailedAttempt) -> Future[None]:
    store.save_failed_attempt("run-1", asked.test_key, attempt)
    return resolved(None)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(stored_run())
        yield opened


def _stored_budget(store: Store) -> Budget:
    return Budget(ONE, save=partial(store.order_spending, "run-1"), earlier=store.spent("run-1"))


def test_a_resumed_run_counts_what_was_settled_and_what_stayed_reserved(store: Store) -> None:
    """Known costs, a broken-off attempt and one that was under way at a kill: all are gone from the next session's."""
    budget = _stored_budget(store)
    settled, unknown, killed = (budget.reserve(question(number), Decimal("0.2")) for number in range(3))
    assert settled is not None
    assert unknown is not None
    assert killed is not None
    cost = Cost("0.05", "billed")
    reply = Reply(text="x", model="cloud/one", request_hash="h", cost=cost, usage=Usage(1, 1))
    _kept(store, question(0), reply).result()
    budget.settle(settled, cost).result()
    budget.settle(unknown, Cost()).result()
    killed.saved.result()
    resumed = _stored_budget(store)
    assert resumed.left_usd == Decimal("0.55")
    again = resumed.reserve(question(2), Decimal("0.2"))
    assert again is not None
    assert again.entry.attempt == 2
    again.saved.result()
    assert _stored_budget(store).left_usd == Decimal("0.35")


def test_what_was_settled_for_a_reply_that_a_kill_kept_from_the_store_is_spent(store: Store) -> None:
    """The account is committed before the reply: whoever dies in between has paid all the same."""
    budget = _stored_budget(store)
    lost, kept = (budget.reserve(question(number), Decimal("0.2")) for number in range(2))
    assert lost is not None
    assert kept is not None
    cost = Cost("0.15", "billed")
    budget.settle(lost, cost).result()
    budget.settle(kept, cost).result()
    _kept(store, question(1), Reply(text="x", model="cloud/one", cost=cost, usage=Usage(1, 1))).result()
    assert _stored_budget(store).left_usd == Decimal("0.7")


def test_what_a_session_without_a_budget_spent_counts_for_one_with(store: Store) -> None:
    """`--resume --max-cost 1` after a run without a cap: its replies and failed attempts tell their costs."""
    reply = Reply(text="x", model="cloud/one", request_hash="h", cost=Cost("0.6", "billed"), usage=Usage(1, 1))
    _kept(store, question(0), reply).result()
    replayed = Reply(text="x", model="cloud/one", request_hash="i", cost=Cost("0.9", "replayed"), usage=Usage(1, 1))
    _kept(store, question(1), replayed).result()
    cost = Cost("0.1", "priced")
    _kept_failure(store, question(2), FailedAttempt("cloud/one", "j", 1, "server", "no", "", "now", cost=cost))
    assert _stored_budget(store).left_usd == Decimal("0.3")


_KILLED = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from functools import partial
from pathlib import Path
from decimal import Decimal
from asked_models import Provider, questions, target
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.records import Price
from pytest_llmbench.store import Store

store = Store.open(Path({path!r}))

async def send(asked, on_headers, on_text):
    print(asked.id, flush=True)
    await asyncio.sleep(600)

budget = Budget(Caps(run=Decimal(1)), save=partial(store.order_spending, "run-1"), earlier=store.spent("run-1"))
asker = LocalAsker(Provider().means(send=send), budget=budget)
asker.get_all(questions(50, target(price=Price(input="0.0000001", output="0.0001")), max_tokens=900))
"""


def test_a_session_killed_with_requests_under_way_leaves_their_worst_case_reserved(
    store: Store, tmp_path: Path
) -> None:
    """kill -9, twice: every request that was sent is reserved, and all sessions together stay below the cap."""
    code = _KILLED.format(tests=str(Path(__file__).parent), path=str(tmp_path / "results.db"))
    sent: list[str] = []
    for expected in (11, 0):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            sent += [child.stdout.readline().strip() for _ in range(expected)]
            if not expected:
                assert "OverBudgetError" in child.communicate(timeout=60)[1]
            child.kill()
    reserved = {row.question for row in store.spent("run-1").rows if row.state == "reserved"}
    assert len(set(sent)) == 11
    assert set(sent) <= reserved
    left = _stored_budget(store).left_usd
    assert left is not None
    assert Decimal(0) <= left < Decimal("0.1")


def test_what_was_under_way_at_a_kill_is_counted_as_unknown_by_the_session_that_goes_on(store: Store) -> None:
    """Once, however often the run goes on; what lies with a batch API waits, and what is free is free."""
    budget = _stored_budget(store)
    for number in range(3):
        killed = budget.reserve(question(number), Decimal("0.2"))
        assert killed is not None
        killed.saved.result()
    free = budget.reserve(question(3), Decimal(0))
    assert free is not None
    free.saved.result()
    for _ in range(2):
        store.close_spending("run-1", {question(0).id})
    total = Ledger(store.load_run("run-1")).of_run().total
    assert (total.calls, total.unknown, total.usd) == (3, 2, "0")
    assert {row.question for row in store.spent("run-1").rows if row.state == "reserved"} == {question(0).id}
    assert _stored_budget(store).left_usd == Decimal("0.4")


def test_a_session_that_was_taken_for_killed_and_lives_takes_back_what_was_told_of_its_calls(store: Store) -> None:
    """Two of its three end while another session goes on with the run: one is paid, of one the cost stays unknown."""
    first = _stored_budget(store)
    calls = [first.reserve(question(number), Decimal("0.2")) for number in range(3)]
    paid, broken, _ = [call for call in calls if call is not None and not call.saved.result()]
    store.close_spending("run-1", set())
    assert len(store.load_run("run-1").failed_attempts) == 3
    first.settle(paid, Cost("0.1", "computed")).result()
    assert len(store.load_run("run-1").failed_attempts) == 2
    first.settle(broken, Cost()).result()
    assert len(store.load_run("run-1").failed_attempts) == 1
    assert [row.state for row in store.spent("run-1").rows] == ["settled", "unknown", "unknown"]


def test_costs_of_one_run_are_the_same_in_replies_and_in_the_account(store: Store) -> None:
    """A run with failures on a real database: settled rows add up to what replies and failed attempts tell."""
    told = Usage(prompt_tokens=10, completion_tokens=1)
    broken = WireError("broke off", category=Category.STREAM_TRUNCATED, status=200, usage=told)
    provider = Provider(
        latency_s=0.001, answer=lambda asked, attempt: broken if attempt == 1 and number_of(asked) % 3 == 0 else None
    )

    async def work() -> None:
        means = provider.means(keep=partial(_kept, store), keep_failed=partial(_kept_failure, store))
        dispatcher = Dispatcher(means, budget=_stored_budget(store))
        with suppress(OverBudgetError):
            await dispatcher.reply_all(questions(60, dollars("0.00001"), max_tokens=500))
        await dispatcher.cancel()

    asyncio.run(work())
    store.submit(lambda _connection, ones: list(ones), None).result()
    spent = store.spent("run-1")
    settled = sum((Decimal(row.settled_usd) for row in spent.rows if row.settled_usd is not None), Decimal(0))
    assert settled == sum(spent.by_model.values())
    assert settled > 0
