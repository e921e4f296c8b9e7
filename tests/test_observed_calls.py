"""What whoever looks on is told of calls: every attempt once, how it ended, and whether it is tried again."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import closing
from pathlib import Path

import pytest
from asked_models import Provider, question, questions, refused, target
from asking import endpoint_of
from seen_calls import Broken, Onlooker, a_call
from served_sessions import session_in, stored
from virtual_time import run_virtually

from pytest_llmbench import http
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clients.rounds import ask_each
from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.observe import families, watching
from pytest_llmbench.observe.calls import CURRENT, CallBegun, CallEnded, Kind, Level, Note, Outcome, host_of
from pytest_llmbench.observe.observer import Observers
from pytest_llmbench.observe.seen import Seen
from pytest_llmbench.records.asked import UNPRICED
from pytest_llmbench.reports.view import view


def asked(provider: Provider, onlooker: Onlooker | Observers, count: int = 1, **fields: object) -> None:
    """Ask so many questions; those that fail are forgotten."""

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=onlooker, run_id="r1"), Rules())
        wanted = [dispatcher.reply(each) for each in questions(count, **fields)]
        await asyncio.gather(*wanted, return_exceptions=True)
        dispatcher.close()

    run_virtually(work)


def test_each_attempt_is_told_once_and_whether_it_is_tried_again() -> None:
    """Two refusals and an answer: three calls of one question, numbered, the first two tried again."""
    provider = Provider(answer=lambda _asked, attempt: refused() if attempt < 3 else None)
    onlooker = Onlooker()
    asked(provider, onlooker)
    assert onlooker.outcomes() == [
        ("test_0", 1, "failed", True),
        ("test_0", 2, "failed", True),
        ("test_0", 3, "answered", False),
    ]
    assert [call.attempt for call in onlooker.begun] == [1, 2, 3]
    assert len({call.call_id for call in onlooker.begun}) == 3
    first = onlooker.ended[0]
    assert (first.category, first.status, first.level) == ("rate_limited", 429, Level.WARNING)
    assert onlooker.ended[2].usage.completion_tokens == 20
    assert onlooker.ended[2].cost.usd == "0.00021"


def test_a_failure_that_is_not_tried_again_is_an_error() -> None:
    """A refusal of the request itself: one attempt, level error."""
    onlooker = Onlooker()
    asked(Provider(answer=lambda *_: refused(Category.INVALID_REQUEST, 400)), onlooker)
    assert onlooker.outcomes() == [("test_0", 1, "failed", False)]
    assert onlooker.ended[0].level is Level.ERROR


def test_what_is_broken_off_is_told_as_cancelled() -> None:
    """A call that is under way when all is cancelled."""
    provider, onlooker = Provider(latency_s=100), Onlooker()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=onlooker), Rules())
        dispatcher.plan(questions(1))
        await asyncio.sleep(1)
        await dispatcher.cancel()

    run_virtually(work)
    assert onlooker.outcomes() == [("test_0", 1, "cancelled", False)]


def test_a_request_that_cannot_be_sent_is_told_with_its_reason() -> None:
    """A missing key is no failure of a provider: no category, the message says why."""
    onlooker = Onlooker()
    asked(Provider(answer=lambda *_: UsageError("LAB_KEY is not set")), onlooker)
    [ended] = onlooker.ended
    assert (ended.outcome, ended.category, ended.message) == (Outcome.FAILED, "", "LAB_KEY is not set")


def test_who_raises_while_looking_on_breaks_no_call() -> None:
    """It is dropped and told of once; the other one hears of that, and of all calls."""
    told: list[str] = []
    onlooker = Onlooker()
    provider = Provider()
    asked(provider, Observers([Broken(), onlooker], told.append), count=3)
    assert provider.attempts.total() == 3
    assert [end.outcome for end in onlooker.ended] == [Outcome.ANSWERED] * 3
    assert len(told) == 1
    assert "cannot look at" in told[0]
    assert [note.kind for note in onlooker.noted] == [Kind.OBSERVER_FAILED]


def test_without_anybody_who_looks_on_nothing_is_made() -> None:
    """No record of a call, no header: the ticket holds nothing."""

    async def work() -> None:
        dispatcher = Dispatcher(Provider().means(), Rules())
        await dispatcher.reply(question(1))
        ticket = dispatcher.ticket(question(1).id)
        assert ticket is not None
        assert ticket.seen is None

    run_virtually(work)


def test_headers_of_whoever_looks_on_belong_to_one_call() -> None:
    """They stand in the task of the call alone, and not in the next one's."""
    heard: list[object] = []

    class Telling(Onlooker):
        def begins(self, call: CallBegun) -> dict[str, str]:
            return {"traceparent": "00-1"} if call.test_key == "test_0" else {}

    class Hearing(Provider):
        async def send(self, *given: object) -> object:
            heard.append(CURRENT.get(None))
            return await super().send(*given)

    async def work() -> None:
        dispatcher = Dispatcher(Hearing().means(observer=Telling()), Rules(max_concurrency=1))
        for number in range(2):
            await dispatcher.reply(question(number))

    run_virtually(work)
    assert heard == [{"traceparent": "00-1"}, None]


def test_a_correlation_id_names_run_test_sample_trial_and_attempt() -> None:
    """Each part percent-encoded, so that it can be taken apart again."""
    call = a_call(sample="s 1/2", trial=3, attempt=2)
    assert call.correlation_id == "r1/t.py%3A%3Atest%5Ba%2Fb%5D/s%201%2F2/3/2"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://user:secret@api.example/v1?key=1", "api.example"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("http://[::1]:80", "[::1]:80"),
        ("http+unix://%2Frun%2Fs.sock/v1", "unix"),
        ("http://host:notaport", ""),
        ("", ""),
    ],
)
def test_a_host_is_told_without_anything_else_of_its_url(url: str, host: str) -> None:
    """No user name, password, path or query."""
    assert host_of(url) == host


def test_a_fault_of_our_own_is_told_as_one() -> None:
    """What is no error of ours is internal."""
    ended = CallEnded.broken(a_call(), ValueError("x"), 0.1)
    assert (ended.outcome, ended.category, ended.message) == (Outcome.FAILED, "internal", "ValueError: x")


@pytest.mark.usefixtures("smollm2")
def test_calls_to_a_model_of_this_machine_are_told(tmp_path: Path) -> None:
    """Asked together and streamed: each with its trial, without a price, and where it was asked."""
    onlooker = Onlooker()
    with session_in(tmp_path, request_log="off") as session:
        session.__dict__["observer"] = onlooker
        from pytest_llmbench.serving import open_model

        model = open_model(session, "smollm2-135m:Q4_1")
        model.ask_all(["Hi", "Hi", "Ho"], max_tokens=2)
        assert list(model.stream("Hm", max_tokens=2))
    assert [end.outcome for end in onlooker.ended] == [Outcome.ANSWERED] * 4
    trials = sorted((str(call.messages[-1]["content"]), call.trial) for call in onlooker.begun)
    assert trials == [("Hi", 0), ("Hi", 1), ("Hm", 0), ("Ho", 0)]
    assert all(end.cost == UNPRICED and end.duration_s for end in onlooker.ended)
    assert {reply.cost for reply in stored(session).replies} == {UNPRICED}
    assert view(stored(session)).costs is None
    with closing(watching.Onlooker(watching.Watched(tmp_path / ".llmbench" / "results.db"))) as looking:
        assert not any(looking.look().figures.numbers[families.COST_UNKNOWN].values())
    assert all(call.host and call.run_id for call in onlooker.begun)


def react(body: dict[str, object]) -> Reaction:
    return Failure(400, "no") if "refuse" in str(body["messages"]) else Answer("yes")


def test_a_failure_of_a_model_of_this_machine_is_told_and_the_others_as_broken_off() -> None:
    """The first failure is raised and ends the others; headers of whoever looks on travel along."""
    onlooker = Onlooker(headers={"traceparent": "00-2"})
    requests = [ChatRequest("lab/m", ({"role": "user", "content": text},)) for text in ("fine", "refuse")]
    with DemoProvider(react) as provider:
        begins = [lambda where, attempt: Seen(onlooker, a_call(attempt=attempt, base_url=where.base_url))] * 2
        with pytest.raises(WireError):
            ask_each(
                requests,
                endpoint=lambda: endpoint_of(provider),
                deadlines=http.Deadlines(5, 5, 5, 5),
                concurrency=1,
                begins=begins,
            )
        seen = provider.chats()
    assert sorted(str(end.outcome) for end in onlooker.ended) == ["answered", "failed"]
    assert {call.headers.get("traceparent") for call in seen} == {"00-2"}


def test_an_account_of_a_call_says_who_was_asked() -> None:
    """Provider, account and model of the target; the request's figures."""
    onlooker = Onlooker()
    of = dataclasses.replace(target("cloud/two"), account="abc123")

    async def work() -> None:
        dispatcher = Dispatcher(Provider().means(observer=onlooker, run_id="r9"), Rules())
        await dispatcher.reply(question(1, of, seed=7, temperature=0.5))

    run_virtually(work)
    [call] = onlooker.begun
    assert (call.run_id, call.model, call.model_id, call.provider, call.account) == (
        "r9",
        "cloud/two",
        "two",
        "cloud",
        "abc123",
    )
    assert (call.seed, call.temperature, call.max_tokens) == (7, 0.5, 100)


def test_a_note_carries_its_level() -> None:
    """By its kind."""
    assert Note(Kind.ALERT_RAISED, "x").kind.level is Level.ERROR
    assert all(kind.meaning.endswith(".") for kind in Kind)
