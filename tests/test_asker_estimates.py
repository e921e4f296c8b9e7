"""What a run is expected to ask, to cost and to take."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import report_runs
from test_asker_cassette import a_question, a_reply, recorded

from pytest_llmbench.asker.cassette import Cassette
from pytest_llmbench.asker.estimates import ASSUMED, estimate
from pytest_llmbench.asker.question import Question
from pytest_llmbench.config import resolve
from pytest_llmbench.records import Limits, Price, Reply, Timing, Usage
from pytest_llmbench.reports import dry_run
from pytest_llmbench.settings import Settings
from pytest_llmbench.store import Store

FREE = Limits()
PRICE = Price(input="0.000001", output="0.00001")


def chosen(**options: str) -> Settings:
    return resolve(options, {}, {}, Path("/nonexistent")).settings


def questions(
    count: int, *, price: Price = PRICE, limits: Limits = FREE, max_tokens: int | None = 100
) -> Iterator[Question]:
    for number in range(count):
        asked = a_question("x" * 400, test=f"t{number}", max_tokens=max_tokens)
        yield dataclasses.replace(asked, target=dataclasses.replace(asked.target, price=price, limits=limits))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


def test_without_earlier_replies_the_assumptions_are_stated() -> None:
    """4 characters a token and the frame of the message in, no more than `max_tokens` out."""
    (model,) = estimate(list(questions(10)), settings=chosen()).models
    assert (model.calls, model.prompt_tokens, model.completion_tokens) == (10, 10 * 104, 10 * 100)
    assert model.expected_usd == 10 * (104 * Decimal("0.000001") + 100 * Decimal("0.00001"))
    assert model.worst_usd is not None
    assert model.worst_usd > model.expected_usd
    assert model.basis == ASSUMED


def test_earlier_replies_tell_tokens_and_times(store: Store) -> None:
    """Of the same model, from whatever run."""
    run = report_runs.passed_run()
    store.ensure_run(run)
    request = {"messages": [{"role": "user", "content": "x" * 800}]}
    reply = Reply("x", "lab/mini", usage=Usage(400, 12), timing=Timing(e2e_s=2.0), request_hash="h")
    store.save_reply(run.id, "t", 0, request, reply)
    (model,) = estimate(list(questions(10)), settings=chosen(), store=store).models
    assert (model.prompt_tokens, model.completion_tokens, model.seconds) == (10 * 204, 10 * 12, 2.0)
    assert model.basis == "as its last reply"


def test_time_follows_the_slow_start_and_the_limits_a_minute() -> None:
    """20, 40, 80, then 100 at once; or as the account allows."""
    free, limited = (
        estimate(list(questions(240, limits=limits)), settings=chosen(max_concurrency="100")).seconds
        for limits in (Limits(), Limits(requests_per_minute=60))
    )
    assert free == pytest.approx(4 * (0.5 + 100 / 50))
    assert limited == 240


@pytest.mark.parametrize(
    ("price", "max_tokens", "why"),
    [(Price(), 100, "declare one under `prices:`"), (PRICE, None, "give max_tokens")],
)
def test_what_cannot_be_priced_is_unknown_and_says_why(price: Price, max_tokens: int | None, why: str) -> None:
    """Never 0; one such model makes the sum unknown, too."""
    found = estimate(list(questions(3, price=price, max_tokens=max_tokens)), settings=chosen())
    assert found.models[0].worst_usd is None
    assert found.worst_usd is None
    assert why in found.models[0].unknown
    shown = "\n".join("".join(text for text, _ in line) for line in dry_run.lines(found, tests=3, unplanned=0))
    assert "unknown" in shown
    assert "$0 " not in shown


def test_a_question_of_two_tests_is_two_calls_and_a_repeated_one_is_one() -> None:
    """As it is asked: single flight by the question's id."""
    some = list(questions(2))
    assert estimate([*some, *some], settings=chosen()).calls == 2


def test_what_is_stored_or_recorded_is_not_counted(tmp_path: Path) -> None:
    """`--resume` and `--replay`: the rest is what is asked, or missing."""
    some = list(questions(5))
    places = {(each.test_key, each.request_hash, each.ordinal) for each in some[:2]}
    (resumed,) = estimate(some, settings=chosen(), stored=places).models
    assert (resumed.calls, resumed.stored) == (3, 2)
    held = Cassette(recorded(tmp_path / "c.jsonl", (some[0], a_reply())))
    (replayed,) = estimate([some[0], a_question("else")], settings=chosen(), replay=held).models
    assert (replayed.calls, replayed.replayed, replayed.missed, replayed.expected_usd) == (0, 1, 1, 0)


def test_what_the_cache_holds_or_a_batch_has_is_not_counted() -> None:
    """Each is told by itself; what is stored and lies in the cache as well is stored."""
    asked = list(questions(10))
    cached, lying = [each.id for each in asked[:4]], [each.id for each in asked[4:6]]
    found = estimate(asked, settings=chosen(batch="true"), stored=[asked[0].place], cached=cached, lying=lying)
    (model,) = found.models
    assert (model.calls, model.stored, model.cached, model.pending) == (4, 1, 3, 2)
    shown = "\n".join(text for line in dry_run.lines(found, tests=10, unplanned=0) for text, _ in line)
    assert "1 stored already · 3 answered by the cache · 2 with a batch API already" in shown


def test_batch_apis_cost_half() -> None:
    full, half = (estimate(list(questions(4)), settings=chosen(batch=flag)).expected_usd for flag in ("false", "true"))
    assert full is not None
    assert half == full / 2


@pytest.mark.parametrize(
    ("cap", "told"),
    [
        ("0.001", "less than the expected cost"),
        ("0.012", "enough for the expected cost, not for the longest answers"),
        ("1", "enough for the longest answers"),
    ],
)
def test_the_budget_is_compared_with_what_is_expected_and_with_the_worst(cap: str, told: str) -> None:
    """In at most 80 columns."""
    found = estimate(list(questions(10)), settings=chosen(max_cost=cap))
    lines = ["".join(text for text, _ in line) for line in dry_run.lines(found, width=80, tests=12, unplanned=2)]
    assert told in " ".join(lines)
    assert "2 tests ask only while they run" in " ".join(lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("at_hand", ["stored", "cached", "lying"])
def test_what_has_its_answer_is_not_passed_on(at_hand: str) -> None:
    """Nor is what would be asked after it counted where that has its answer."""
    first, other, second, third = questions(4)
    ways = [(first, second), (other, third), ()]

    def passed_on(*known: Question) -> int:
        places = {each.place if at_hand == "stored" else each.id for each in known}
        found = estimate([first, other], settings=chosen(), ways=ways, **{at_hand: places})  # type: ignore[arg-type]
        return found.passed_on.calls if found.passed_on else 0

    assert passed_on() == 2
    assert passed_on(first) == passed_on(third) == 1
    assert passed_on(first, other) == passed_on(first, third) == 0
