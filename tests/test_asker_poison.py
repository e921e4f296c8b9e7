"""Requests that a model cannot stand: who is at fault, what is asked or the model; in virtual time."""

from __future__ import annotations

import asyncio

from asked_models import Provider, number_of, question, questions, refused, target
from flapping_models import outcomes_of
from noted import Noted
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.payloads import Payloads, Shape
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.records import Reply

SHAPE: Shape = (Category.SERVER, 500, "HTTP #")


def test_one_poisoned_request_never_opens_it_however_many_tests_ask_it() -> None:
    """Forty tests that ask the same: the model answers all others, and is not to blame."""
    one = target()
    poison = [Question(one, question(1).request, f"test_{number}", "the hash of it") for number in range(100, 140)]
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) >= 100 else None)
    outcomes, _, status = outcomes_of(provider, [*poison, *questions(60)])
    assert sum(isinstance(each, Reply) for each in outcomes) == 60
    assert status.models[0].breaker == "closed"
    assert status.models[0].held_s == 0


def test_a_request_that_always_fails_stops_after_three_and_leaves_other_models_alone() -> None:
    """A deterministic 500: three requests, and no breaker opens anywhere."""
    noted, two = Noted(), target("cloud/two")
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) == 7 else None)
    asked = [*questions(50), *[question(number, two) for number in range(100, 150)]]
    outcomes, ended_s, status = outcomes_of(provider, asked, Rules(attempts=50), observer=noted)
    assert provider.attempts[7] == 3
    assert sum(isinstance(each, Reply) for each in outcomes) == 99
    assert [model.breaker for model in status.models] == ["closed", "closed"]
    assert not noted.told
    assert ended_s < 10


def test_a_request_that_fails_on_two_models_is_at_fault_and_a_third_is_asked_once() -> None:
    """What was asked is blamed, and counts against no model any more."""
    models = [target(f"cloud/{name}") for name in ("one", "two", "three")]
    asked = [[question(number, model) for number in range(30)] for model in models]
    provider = Provider(answer=lambda each, _: refused(Category.SERVER, 500) if number_of(each) == 0 else None)
    calls: dict[str, int] = {}

    async def work() -> list[BaseException | Reply]:
        dispatcher = Dispatcher(provider.means())
        outcomes: list[BaseException | Reply] = []
        for model, each in zip(models, asked, strict=True):
            before = provider.attempts[0]
            outcomes += (await asyncio.gather(*map(dispatcher.reply, each), return_exceptions=True))[:1]
            calls[model.name] = provider.attempts[0] - before
        return outcomes

    first, second, third = run_virtually(work)
    assert calls == {"cloud/one": 3, "cloud/two": 3, "cloud/three": 1}
    assert isinstance(first, InfraError)
    assert not first.blamed
    assert isinstance(second, InfraError)
    assert isinstance(third, InfraError)
    assert second.blamed
    assert third.blamed
    assert "fails alike on cloud/one and cloud/two" in str(third)


def _trials(count: int) -> list[Question]:
    """The same asked several times on behalf of one test."""
    asked = question(500)
    return [Question(asked.target, asked.request, asked.test_key, "one hash", ordinal=n) for n in range(count)]


def test_one_hiccup_that_hits_all_trials_of_a_sample_ends_none_of_them() -> None:
    """Each trial counts its own failures: five resets at once are not five in a row."""
    reset = WireError("connection reset", category=Category.NETWORK_RESET)
    provider = Provider(answer=lambda asked, n: reset if number_of(asked) == 500 and n <= 5 else None)
    outcomes, _, _ = outcomes_of(provider, [*_trials(5), *questions(40)], Rules(max_concurrency=50))
    assert all(isinstance(each, Reply) for each in outcomes)
    assert provider.attempts[500] == 10


def test_a_request_that_always_fails_stops_after_three_in_each_of_its_trials() -> None:
    """The other trials of a poisoned request are no others that fail, too."""
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) == 500 else None)
    outcomes_of(provider, [*_trials(5), *questions(8)], Rules(attempts=20, max_concurrency=50))
    assert provider.attempts[500] == 3 * 5


def test_the_blame_for_a_request_is_taken_back_where_it_is_answered() -> None:
    """Two targets failed alike, then one of them answered: what was asked is not at fault."""
    payloads, asked = Payloads(), [question(1, target(f"cloud/{name}")) for name in ("one", "two")]
    for each in asked:
        payloads.blame(each, SHAPE)
    assert payloads.culprit(asked[0], SHAPE) == ("cloud/one", "cloud/two")
    payloads.answered(asked[1])
    assert payloads.culprit(asked[0], SHAPE) == ()
