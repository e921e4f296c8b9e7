"""What whoever looks on is told where another attempt was promised, and never came."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked_models import Provider, question, refused
from otlp_collector import Collector
from seen_calls import Onlooker, a_call
from virtual_time import run_virtually

from pytest_llmbench import config
from pytest_llmbench.ab.own_run import own_session
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.contexts import TestContext
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.observe.calls import CallEnded, Kind, Note, Outcome
from pytest_llmbench.observe.traces import Tracer


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the usual variable points to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def resting(how: str) -> Onlooker:
    """A question was refused once, and is cancelled, or not wanted any more, while it rests."""
    onlooker = Onlooker()
    provider = Provider(answer=lambda *_: refused(retry_after="30"))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=onlooker, run_id="r1"), Rules())
        ticket = dispatcher.demand(question(1))
        await asyncio.sleep(5)
        if how == "cancelled":
            await dispatcher.cancel()
        else:
            dispatcher.release(ticket)
        await asyncio.sleep(60)
        dispatcher.close()

    run_virtually(work)
    assert provider.attempts.total() == 1
    return onlooker


def given_up(onlooker: Onlooker) -> list[Note]:
    return [note for note in onlooker.noted if note.kind is Kind.GIVEN_UP]


@pytest.mark.parametrize("how", ["cancelled", "released"])
def test_an_attempt_that_was_promised_and_never_comes_is_taken_back(how: str) -> None:
    """Once, by the ids of the attempt that promised it."""
    onlooker = resting(how)
    [ended] = onlooker.ended
    assert ended.retry_in_s is not None
    [note] = given_up(onlooker)
    assert note.message == "not tried again: the question was cancelled before its reply was complete"
    told = {"id": ended.call.correlation_id, "call_id": ended.call.call_id, "category": "cancelled"}
    assert (note.model, note.details) == ("cloud/one", told)


def test_attempts_that_come_as_promised_take_nothing_back() -> None:
    """Neither where the last one is answered, nor where it is the last that is allowed."""
    onlooker = Onlooker()
    provider = Provider(answer=lambda asked, attempt: refused() if attempt < 3 or "2" in asked.test_key else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=onlooker, run_id="r1"), Rules(attempts=3))
        await asyncio.gather(*(dispatcher.reply(question(n)) for n in (1, 2)), return_exceptions=True)
        dispatcher.close()

    run_virtually(work)
    assert len(onlooker.ended) > 3
    assert given_up(onlooker) == []


def test_a_question_that_was_not_tried_again_has_its_span_all_the_same(tmp_path: Path, collector: Collector) -> None:
    """Else its attempts would be below nothing."""
    tracer = Tracer(config.resolve({}, {}, {}, tmp_path), "r1", "asker", print)
    for attempt in (1, 2):
        call = a_call(attempt=attempt)
        tracer.begins(call)
        tracer.ends(CallEnded(call=call, outcome=Outcome.FAILED, duration_s=0.5, category="overloaded", retry_in_s=9.0))
    tracer.close()
    [asked], tried = collector.named("ask "), collector.named("chat ")
    assert [span.parent_id for span in tried] == [asked.span_id] * 2
    assert (asked.status, asked.attributes["llmbench.attempts"]) == ("ERROR", 2)


def ask_in_a_session_of_its_own(folder: Path, process: str, error: InfraError | None) -> None:
    """One call, as `llmbench ab` and `llmbench chat` make theirs."""
    resolved = config.resolve({"traces": "true"}, {}, {}, folder)
    with own_session(resolved, ("llmbench", "x"), print, process_name=process) as session:
        session.context = TestContext("llmbench x", "llmbench x::m", "lab/m")
        assert session.observer is not None
        call = a_call(run_id=session.run_id, test_key="llmbench x::m")
        session.observer.ends(CallEnded(call=call, outcome=Outcome.ANSWERED, duration_s=0.5))
        if error is not None:
            raise error


@pytest.mark.parametrize("process", ["", "chat"])
def test_calls_outside_of_pytest_have_a_test_and_a_run_above_them(
    tmp_path: Path, collector: Collector, process: str
) -> None:
    """A chat, an `ab` and a `tune` are a test each."""
    ask_in_a_session_of_its_own(tmp_path, process, None)
    [run], [test], [call] = (collector.named(beginning) for beginning in ("run", "test ", "chat "))
    assert (run.parent_id, test.parent_id, call.parent_id) == ("", run.span_id, test.span_id)
    assert (test.status, test.attributes["llmbench.outcome"]) == ("UNSET", "right")


def test_one_that_fails_is_a_test_that_failed(tmp_path: Path, collector: Collector) -> None:
    """With the category of its failure."""
    with pytest.raises(InfraError):
        ask_in_a_session_of_its_own(tmp_path, "", InfraError("gone", category=Category.SERVER))
    [test] = collector.named("test ")
    assert (test.status, test.attributes["error.type"]) == ("ERROR", str(Category.SERVER))
