"""Tests that ask one after another: what is told of a model that fails, and of requests at fault; in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from asked_models import Answer, Provider, number_of, question, questions, refused, target
from flapping_models import Flapping
from noted import Noted
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import Reply

REFUSED = WireError("nobody listens", category=Category.NETWORK_REFUSED)


@dataclass
class Told:
    """What came of questions."""

    outcomes: list[Reply | BaseException]
    took_s: list[float]
    """Each of them."""
    ended_s: float

    @property
    def lost(self) -> list[int]:
        """Which ones were not answered."""
        return [place for place, each in enumerate(self.outcomes) if not isinstance(each, Reply)]


def _one_by_one(
    provider: Provider, asked: Sequence[Question], *, rules: Rules | None = None, observer: Noted | None = None
) -> Told:
    """Each is asked once the one before it is over, a moment later."""

    async def work() -> Told:
        dispatcher, loop = Dispatcher(provider.means(observer=observer), rules), asyncio.get_running_loop()
        outcomes, took_s = list[Reply | BaseException](), list[float]()
        for each in asked:
            before = loop.time()
            outcomes += await asyncio.gather(dispatcher.reply(each), return_exceptions=True)
            took_s.append(loop.time() - before)
            await asyncio.sleep(0.05)
        dispatcher.close()
        return Told(outcomes, took_s, loop.time())

    return run_virtually(work)


def _fails(*numbers: int) -> Answer:
    """The usual answer to all others, and an error of the server to these."""
    return lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) in numbers else None


@pytest.mark.parametrize("category", [Category.SERVER, Category.TIMEOUT_IDLE, Category.NETWORK_REFUSED])
def test_a_model_that_never_answers_is_given_up_within_seconds(category: Category) -> None:
    """Two questions are tried as often as it takes; the third opens the breaker, and the others fail at once."""
    provider, noted = Flapping(lambda *_: True, WireError("no", category=category)), Noted()
    told = _one_by_one(provider, questions(60), observer=noted)
    assert len(told.lost) == 60
    assert noted.count(Kind.BREAKER_OPENED) == 1
    assert provider.attempts.total() <= 15
    assert sum(told.took_s) < 12
    assert any("has never answered" in str(each) for each in told.outcomes)


def test_many_attempts_do_not_make_a_model_that_never_answers_last_for_minutes() -> None:
    """Who is let go starts the waits anew, and not the tries after which the model is given up."""
    provider, noted = Flapping(lambda *_: True), Noted()
    told = _one_by_one(provider, questions(30), rules=Rules(attempts=15), observer=noted)
    assert len(told.lost) == 30
    assert sum(told.took_s) < 110
    assert any("given up, and not asked" in each.message for each in noted.of(Kind.BREAKER_STAYED_OPEN))


def test_no_wait_is_told_that_was_taken_back() -> None:
    """Where one is let go the next question tries at once: the request log says so."""
    noted = Noted()
    _one_by_one(Provider(answer=_fails(*range(10, 14))), questions(40), observer=noted)
    told = noted.of(Kind.BREAKER_STAYED_OPEN)
    let_go = [note for note in told if "the next question tries at once; last with: HTTP 500" in note.message]
    assert {note.details["wait_s"] for note in let_go} == {0}
    assert len(told) > len(let_go) >= 1


def test_a_model_that_sends_halves_only_is_given_up_too() -> None:
    """It was there, and never more than that: nobody waits for minutes."""
    half = WireError("silent", category=Category.TIMEOUT_IDLE, status=200, partial_text="one two")
    provider = Provider(answer=lambda *_: half, latency_s=2.0)
    told = _one_by_one(provider, questions(30))
    assert provider.attempts.total() <= 10
    assert sum(told.took_s) < 30
    assert any("it has never answered in full" in str(each) for each in told.outcomes)


@pytest.mark.parametrize("until_s", [3, 22, 120, 290])
def test_an_outage_is_waited_out_and_few_questions_are_lost(until_s: int) -> None:
    """Two before it is known for one; then each that might be at fault itself waits longer than the one before."""
    provider = Flapping(lambda now, _: 2 <= now < until_s)
    told = _one_by_one(provider, questions(60))
    assert len(told.lost) <= {3: 0, 22: 2, 120: 5, 290: 6}[until_s]
    assert told.ended_s < until_s + 100


def test_where_a_model_cannot_be_reached_for_a_while_no_question_is_lost() -> None:
    """Nothing was sent, so what was asked is not at fault: the very first question waits."""
    provider = Flapping(lambda now, _: 2 <= now < 100, REFUSED)
    assert not _one_by_one(provider, questions(60)).lost


@pytest.mark.parametrize("count", [1, 2, 3, 4, 12])
def test_poisoned_requests_in_a_row_end_soon_and_take_no_others_along(count: int) -> None:
    """One or two stop after three attempts each; the next ones wait a while for the model, which is well."""
    provider = Provider(answer=_fails(*range(10, 10 + count)))
    told = _one_by_one(provider, questions(40))
    assert told.lost == list(range(10, 10 + count))
    assert max(provider.attempts[10], provider.attempts[9 + min(count, 2)]) == 3
    assert sum(told.took_s) < {1: 15, 2: 22, 3: 62, 4: 105, 12: 330}[count]


def test_poisoned_requests_here_and_there_never_open_it() -> None:
    """Each is cleared up by the answer to the next: twelve of twenty attempts fail, of many different requests."""
    provider, noted = Provider(answer=_fails(*range(1, 40, 2))), Noted()
    told = _one_by_one(provider, questions(40), observer=noted)
    assert told.lost == list(range(1, 40, 2))
    assert {provider.attempts[number] for number in told.lost} == {3}
    assert not noted.told


@pytest.mark.parametrize(
    "poisoned", [range(40, 52), range(5), range(0, 60, 3)], ids=["a dozen", "the first", "a third"]
)
@pytest.mark.parametrize("workers", [2, 4])
def test_where_few_ask_at_once_poisoned_requests_take_no_others_along(workers: int, poisoned: range) -> None:
    """All that wait may be at fault themselves: one after another is let go, until somebody is answered."""
    provider = Provider(answer=_fails(*poisoned))

    async def work() -> dict[int, Reply | BaseException]:
        dispatcher, outcomes = Dispatcher(provider.means()), dict[int, Reply | BaseException]()

        async def asks(numbers: range) -> None:
            for number in numbers:
                told = await asyncio.gather(dispatcher.reply(question(number)), return_exceptions=True)
                outcomes[number] = told[0]
                await asyncio.sleep(0.05)

        await asyncio.gather(*[asks(range(place, 60, workers)) for place in range(workers)])
        return outcomes

    outcomes = run_virtually(work)
    assert sorted(number for number, each in outcomes.items() if not isinstance(each, Reply)) == list(poisoned)


def test_a_model_that_was_taken_for_ill_once_by_mistake_costs_its_patience_only_once() -> None:
    """Every third request is poisoned, two ask at once: the window opens again and again."""
    provider = Provider(answer=_fails(*range(0, 60, 3)))

    async def work() -> float:
        dispatcher = Dispatcher(provider.means())

        async def asks(numbers: range) -> None:
            for number in numbers:
                await asyncio.gather(dispatcher.reply(question(number)), return_exceptions=True)

        await asyncio.gather(asks(range(0, 60, 2)), asks(range(1, 60, 2)))
        return asyncio.get_running_loop().time()

    assert run_virtually(work) < 2 * Rules().outage_patience_s


def test_poisoned_requests_at_the_very_beginning_do_not_take_the_model_along() -> None:
    """Nothing is known of it, two fail: the third is answered."""
    provider = Provider(answer=_fails(0, 1))
    assert _one_by_one(provider, questions(20)).lost == [0, 1]
    assert provider.attempts[0] == provider.attempts[1] == 3


Failing = Callable[[Question, int], BaseException | None]
"""(question, which attempt at it, at this model) → how it fails."""


def _counting(failing: Failing) -> tuple[Provider, Counter[str]]:
    """A provider, and how often each question was sent, by its id."""
    sent: Counter[str] = Counter()

    def answer(asked: Question, _: int) -> BaseException | None:
        sent[asked.id] += 1
        return failing(asked, sent[asked.id])

    return Provider(answer=answer), sent


def test_dead_models_are_no_evidence_against_what_a_healthy_one_is_asked() -> None:
    """Three that never answer beside one that hiccups once at each question: all of that one's are answered."""

    def failing(asked: Question, attempt: int) -> BaseException | None:
        is_well = asked.target.name == "well/one" and attempt > 1
        return None if is_well else refused(Category.SERVER, 502 if asked.target.name == "dead/three" else 500)

    names = ("dead/one", "dead/two", "dead/three", "well/one")
    asked = [question(number, target(name)) for number in range(8) for name in names]
    told = _one_by_one(_counting(failing)[0], asked)
    assert {asked[place].target.name for place in told.lost} == {"dead/one", "dead/two", "dead/three"}
    assert not [each for each in told.outcomes if isinstance(each, InfraError) and each.blamed]


@pytest.mark.parametrize(("second", "on_the_third"), [(502, 3), (500, 1)])
def test_a_request_is_at_fault_only_where_it_fails_in_the_same_way_on_models_that_answer(
    second: int, on_the_third: int
) -> None:
    """A 500 here and a 502 there are two failures; two 500 of models that answer others are one request's."""
    statuses = {"cloud/one": 500, "cloud/two": second, "cloud/three": 500}

    def failing(asked: Question, _: int) -> BaseException | None:
        return refused(Category.SERVER, statuses[asked.target.name]) if number_of(asked) == 3 else None

    provider, sent = _counting(failing)
    asked = [question(number, target(name)) for name in statuses for number in range(8)]
    _one_by_one(provider, asked)
    assert [sent[each.id] for each in asked if number_of(each) == 3] == [3, 3, on_the_third]


def test_a_model_that_had_begun_to_answer_when_its_server_ended_is_waited_for() -> None:
    """Status 200 and half of a text: it was there, though it never answered to the end."""

    def answer(_: Question, __: int) -> BaseException | None:
        now = asyncio.get_running_loop().time()
        half = WireError("cut", category=Category.STREAM_TRUNCATED, status=200, partial_text="half an")
        return half if now < 0.5 else WireError("refused", category=Category.NETWORK_REFUSED) if now < 30 else None

    async def work() -> list[Reply | BaseException]:
        dispatcher = Dispatcher(Provider(answer=answer).means())
        return await asyncio.gather(*map(dispatcher.reply, questions(120)), return_exceptions=True)

    assert all(isinstance(each, Reply) for each in run_virtually(work))
