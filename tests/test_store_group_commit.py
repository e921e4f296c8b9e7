"""What several threads order meanwhile is written in one transaction, in order, and each is told of its own."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import store_samples as samples
from sqlalchemy import Connection

from pytest_llmbench.errors import StoreError
from pytest_llmbench.records import Reply, TestResult
from pytest_llmbench.store import Store, results, sqlite_file, writer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(samples.run())
        yield opened


def reply(text: str) -> Reply:
    return dataclasses.replace(samples.reply(), text=text, request_hash=text)


def test_a_reply_is_committed_when_its_future_is_done(store: Store, tmp_path: Path) -> None:
    """Another reader sees it then, under the id that came back."""
    kept = store.keep_reply("run-1", "test_a", 0, {"n": 1}, reply("one")).result(10)
    with Store.open(tmp_path / "results.db") as other:
        assert other.stored_replies("run-1") == {("test_a", "one", 0): kept}


def test_what_several_threads_order_is_all_kept_once_with_its_own_id(store: Store) -> None:
    ordered: list[tuple[str, Future[Reply]]] = []

    def order(name: str) -> None:
        for n in range(50):
            text = f"{name}-{n}"
            ordered.append((text, store.keep_reply("run-1", name, 0, {}, reply(text))))

    threads = [threading.Thread(target=order, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = {kept.id: kept.text for kept in (done.result(10) for _, done in ordered)}
    assert len(stored) == 200
    assert {kept.id: kept.text for kept in store.load_run("run-1").replies} == stored
    assert [done.result().text for _, done in ordered] == [text for text, _ in ordered]


def test_the_first_reply_to_a_question_stays_also_within_one_transaction(store: Store) -> None:
    first, second = dataclasses.replace(reply("x"), text="first"), dataclasses.replace(reply("x"), text="second")
    orders = [store.keep_reply("run-1", "test_a", 0, {}, each) for each in (first, second)]
    assert {order.result(10).text for order in orders} == {"first"}
    assert len(store.load_run("run-1").replies) == 1


def test_what_cannot_be_kept_does_not_take_the_others_along(store: Store) -> None:
    """A value that is no JSON fails its own order; those beside it are committed."""
    good = [store.keep_reply("run-1", f"test_{n}", 0, {}, reply(str(n))) for n in range(3)]
    bad = store.keep_reply("run-1", "test_bad", 0, {"temperature": float("nan")}, reply("bad"))
    more = store.keep_reply("run-1", "test_more", 0, {}, reply("more"))
    with pytest.raises(StoreError, match="cannot be kept"):
        bad.result(10)
    assert [order.result(10).text for order in (*good, more)] == ["0", "1", "2", "more"]
    assert {kept.text for kept in store.load_run("run-1").replies} == {"0", "1", "2", "more"}


def test_a_database_that_stays_locked_is_waited_for_once_and_not_once_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred replies and 30 s each would hold up the end of the session for an hour."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.2)
    path, transactions = tmp_path / "results.db", []
    with Store.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store.ensure_run(samples.run())
        store.keep_reply("run-1", "test_a", 0, {}, reply("first")).result(10)
        monkeypatch.setattr(writer.Writer, "_transaction", counted_calls(writer.Writer._transaction, transactions))
        other.execute("BEGIN IMMEDIATE")
        orders = [store.keep_reply("run-1", f"test_{n}", 0, {}, reply(str(n))) for n in range(50)]
        for order in orders:
            with pytest.raises(StoreError, match="keeps it locked"):
                order.result(10)
        other.execute("ROLLBACK")
        assert sum(transactions) == 50
        assert store.keep_reply("run-1", "test_b", 0, {}, reply("last")).result(10).text == "last"


def counted_calls(call: Callable[..., Any], sizes: list[int]) -> Callable[..., Any]:
    """`call`, noting how many orders it got each time."""

    def counted(self: writer.Writer, orders: Sequence[Any]) -> Any:
        sizes.append(len(orders))
        return call(self, orders)

    return counted


def test_orders_that_come_meanwhile_share_a_transaction(store: Store) -> None:
    """While the first is being written the others gather."""
    sizes: list[int] = []
    may_go_on = threading.Event()

    def counted(connection: Connection, ones: Sequence[int]) -> list[int]:
        sizes.append(len(ones))
        may_go_on.wait(10)
        return list(ones)

    orders = [store.submit(counted, 0)]
    while not sizes:
        wait(orders, timeout=0.01)
    orders += [store.submit(counted, n) for n in range(1, 101)]
    may_go_on.set()
    assert [order.result(10) for order in orders] == list(range(101))
    assert sizes == [1, 100]


def test_what_is_told_of_tests_holds_in_the_order_of_telling(store: Store) -> None:
    """Starts and ends of several tests in one transaction: none withdraws another's outcome, a new start its own."""
    store.order_start("run-1", "node-a", "a")
    store.order_result("run-1", samples.result("a"))
    store.order_start("run-1", "node-b", "b")
    store.order_result("run-1", samples.result("b"))
    store.order_result("run-1", samples.result("c"))
    store.order_start("run-1", "node-d", "d")
    store.order_result("run-1", samples.result("d"))
    store.order_start("run-1", "node-d", "d").result(10)
    assert [result.key for result in store.load_run("run-1").results] == ["a", "b", "c"]
    assert [result.key for result in store.unfinished("run-1")] == ["d"]


def test_a_start_that_arrives_after_the_end_does_not_withdraw_it(tmp_path: Path) -> None:
    """Under xdist a worker says that a test begins, the controller how it ended, each on its own connection."""
    with Store.open(tmp_path / "results.db") as worker, Store.open(tmp_path / "results.db") as controller:
        worker.ensure_run(samples.run())
        begun = results.Told("run-1", TestResult("node", "a", outcome=""))
        controller.order_result("run-1", samples.result("a")).result(10)
        worker.submit(results.tell_all, begun).result(10)
        assert [result.key for result in controller.load_run("run-1").results] == ["a"]
        worker.order_start("run-1", "node", "a").result(10)
        assert not controller.load_run("run-1").results


def test_closing_writes_what_was_ordered(tmp_path: Path) -> None:
    with Store.open(tmp_path / "results.db") as store:
        store.ensure_run(samples.run())
        store.order_start("run-1", "node", "key")
        store.order_result("run-1", samples.result("key"))
        store.keep_reply("run-1", "test_a", 0, {}, reply("one"))
    with Store.open(tmp_path / "results.db") as again:
        run = again.load_run("run-1")
    assert [result.key for result in run.results] == ["key"]
    assert [kept.text for kept in run.replies] == ["one"]


def test_a_closed_store_takes_no_orders(store: Store) -> None:
    store.keep_reply("run-1", "test_a", 0, {}, reply("one")).result(10)
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.keep_reply("run-1", "test_a", 0, {}, reply("two"))


def test_what_nobody_waits_for_goes_with_what_somebody_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patient order waits for company; an urgent one ends its waiting, and both are in one transaction."""
    monkeypatch.setattr(writer, "PATIENT_S", 3600.0)
    sizes: list[int] = []

    def counted(_connection: Connection, ones: Sequence[int]) -> list[int]:
        sizes.append(len(ones))
        return list(ones)

    patient = [store.submit(counted, n, patient=True) for n in range(3)]
    assert store.submit(counted, 3).result(10) == 3
    assert [order.result(10) for order in patient] == [0, 1, 2]
    assert sizes == [4]


def test_a_patient_order_is_written_without_company_too(store: Store) -> None:
    """It waits for a moment, not for ever."""
    assert store.order_result("run-1", samples.result("key"), patient=True).result(10) is None
    assert [result.key for result in store.load_run("run-1").results] == ["key"]


def test_closing_does_not_wait_for_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What patient orders wait for will not come any more."""
    monkeypatch.setattr(writer, "PATIENT_S", 3600.0)
    with Store.open(tmp_path / "results.db") as store:
        store.ensure_run(samples.run())
        ended = store.order_result("run-1", samples.result("key"), patient=True)
    assert ended.done()
