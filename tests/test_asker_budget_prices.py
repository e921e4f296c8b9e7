"""What a question may cost at most, and those of which nobody can tell under a budget."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest
from asked_models import PRICE, Provider, question, target
from capped_questions import budget_of
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Cost, Price, Target


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (question(1, max_tokens=None), "max_tokens obligatory"),
        (question(1, max_tokens=-1), "max_tokens obligatory"),
        (question(1, max_tokens=None, extra={"max_output_tokens": 9}), "max_tokens obligatory"),
        (question(1, extra={"max_completion_tokens": None}), "max_tokens obligatory"),
        (question(1, target(price=Price())), "in llmbench.yaml, in US dollars"),
    ],
)
def test_a_budget_refuses_what_nobody_can_price(asked: Question, told: str) -> None:
    """No `max_tokens` or no price: refused before anything is sent, with what to do."""
    provider = Provider()

    async def work() -> None:
        with pytest.raises(UsageError, match=told):
            await Dispatcher(provider.means(), budget=budget_of()).reply(asked)

    run_virtually(work)
    assert not provider.attempts


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (question(1, extra={"models": ["cloud/dearer"]}), "'models'"),
        (question(1, extra={"web_search_options": {"search_context_size": "low"}}), "'web_search_options'"),
        (question(1, extra={"service_tier": "priority"}), "service_tier='priority'"),
        (question(1, extra={"modalities": ["text", "audio"]}), "'modalities'"),
        (question(1, extra={"tools": [{"type": "web_search_20250305", "name": "web"}]}), "the provider runs"),
        (question(1, target("cloud/one:online")), ":online"),
        (
            dataclasses.replace(
                question(1),
                request=ChatRequest(
                    "cloud/one",
                    ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]},),
                    max_tokens=9,
                ),
            ),
            "part of type 'file'",
        ),
    ],
    ids=["other models", "search", "priority", "sound", "a provider's tool", "online", "file"],
)
def test_a_budget_refuses_what_costs_more_than_its_tokens(asked: Question, told: str) -> None:
    """Searches, other models, faster tiers, files: no worst case would hold."""
    with pytest.raises(UsageError, match=told):
        worst_case_of(asked)


def test_what_costs_no_more_than_its_tokens_fits_into_a_budget() -> None:
    """Tools that the caller runs, and fields that say the usual."""
    tool = {"type": "function", "function": {"name": "f"}}
    usual = {"tools": [tool], "service_tier": "auto", "plugins": None, "modalities": ["text"]}
    assert worst_case_of(question(1, extra=usual)) > worst_case_of(question(1))


def test_a_model_of_this_machine_without_a_price_is_free() -> None:
    """A cap in dollars does not concern it, and makes no `max_tokens` obligatory for it."""
    mine = Target("mine/model", "mine", "model", "openai", "http://127.0.0.1:8080")
    provider = Provider()

    async def work() -> None:
        reply = await Dispatcher(provider.means(), budget=budget_of()).reply(question(1, mine, max_tokens=None))
        assert reply.cost == Cost("0", "free")

    run_virtually(work)


def test_the_worst_case_counts_every_choice_that_is_asked_for() -> None:
    """`n: 3` is three answers; bounds by other names count as `max_tokens` does."""
    once = worst_case_of(question(1, max_tokens=1000))
    thrice = worst_case_of(question(1, max_tokens=1000, extra={"n": 3}))
    assert 0 <= thrice - once - 2000 * Decimal(PRICE.output) < Decimal("0.002")
    named = worst_case_of(question(1, max_tokens=10, extra={"max_completion_tokens": 1000}))
    assert 0 <= named - once < Decimal("0.002")
