"""What a call costs: billed, priced or unknown; and the most that it can cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import UsageError
from pytest_llmbench.providers.costs import call_cost, cost_of, worst_case
from pytest_llmbench.records import Cost, Price, Target, Usage

PRICE = Price(input="0.000002", output="0.00001", cached="0.0000002", cache_write="0.0000025", reasoning="0.00002")
PLAIN = Price(input="0.000002", output="0.00001")


def test_what_the_provider_billed_goes_before_tokens_times_price():
    """The provider knows its discounts."""
    assert cost_of(Usage(1000, 1000, billed_usd="0.0042"), PRICE) == Cost("0.0042", "billed")


def test_a_billed_nothing_is_nothing():
    """0 that was told is a cost, not a gap."""
    assert cost_of(Usage(1000, 1000, billed_usd="0"), PRICE) == Cost("0", "billed")


@pytest.mark.parametrize("told", ["-1", "NaN", "Infinity", "much", ""])
def test_what_no_call_can_cost_is_not_taken_for_a_bill(told):
    """A provider's answer is hostile: a negative bill would refill a budget."""
    assert cost_of(Usage(1000, 0, billed_usd=told), PLAIN) == Cost("0.002", "priced")


def test_each_kind_of_token_is_priced_at_its_own():
    """400 plain, 500 cached and 100 written prompt tokens; 70 answer and 30 reasoning tokens."""
    usage = Usage(1000, 100, cached_tokens=500, cache_write_tokens=100, reasoning_tokens=30)
    expected = 400 * Decimal("0.000002") + 500 * Decimal("0.0000002") + 100 * Decimal("0.0000025")
    expected += 70 * Decimal("0.00001") + 30 * Decimal("0.00002")
    assert cost_of(usage, PRICE).amount == expected


def test_kinds_without_a_price_of_their_own_cost_what_the_others_do():
    """Cached tokens as input, reasoning as output: never less than what may be charged."""
    usage = Usage(1000, 100, cached_tokens=500, cache_write_tokens=100, reasoning_tokens=30)
    assert cost_of(usage, PLAIN) == Cost("0.003", "priced")


def test_reasoning_tokens_that_are_counted_outside_of_the_answer_are_not_lost():
    """Some providers tell 10 completion tokens beside 500 reasoning ones."""
    assert cost_of(Usage(0, 10, reasoning_tokens=500), PLAIN).amount == 510 * Decimal("0.00001")


def test_a_request_has_a_price_by_itself():
    """Some search models charge for it."""
    assert cost_of(Usage(0, 0), Price(input="0", output="0", request="0.005")) == Cost("0.005", "priced")


def test_a_batch_costs_half():
    """Tokens and request alike; what is billed is billed."""
    assert cost_of(Usage(1000, 100), PLAIN, batch=True) == Cost("0.0015", "priced")
    assert cost_of(Usage(1000, 100, billed_usd="0.003"), PLAIN, batch=True) == Cost("0.003", "billed")


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage(), PRICE),
        (Usage(prompt_tokens=10), PRICE),
        (Usage(10, 10, estimated=True), PRICE),
        (Usage(10, 10), Price()),
        (Usage(10, 10), Price(input="0.1")),
    ],
)
def test_what_cannot_be_known_is_unknown_and_not_nothing(usage, price):
    """No tokens, half of them, estimated ones, or no price."""
    cost = cost_of(usage, price)
    assert (cost.amount, cost.source) == (None, "unknown")


def test_a_model_of_this_machine_is_free_unless_it_has_a_price():
    """A gateway on localhost that sells answers is given a price."""
    target = Target("lab/m", "lab", "m", "openai", "http://127.0.0.1:8080")
    priced = Target("lab/m", "lab", "m", "openai", "http://127.0.0.1:8080", price=PLAIN)
    elsewhere = Target("lab/m", "lab", "m", "openai", "http://lab.example")
    assert call_cost(target, Usage(10, 10)) == Cost("0", "free")
    assert call_cost(target, Usage(10, 10, billed_usd="0.1")).source == "billed"
    assert call_cost(priced, Usage()).source == "unknown"
    assert call_cost(elsewhere, Usage(10, 10)).source == "unknown"


def test_the_worst_case_of_an_unknown_price_asks_for_one():
    """A budget cannot hold without it."""
    with pytest.raises(UsageError, match="no price") as caught:
        worst_case(Price(), 10, 10)
    assert "prices:" in caught.value.hint


_amounts = st.decimals(0, 1, places=9).map(lambda amount: format(amount, "f"))
_prices = st.builds(
    Price,
    input=_amounts,
    output=_amounts,
    cached=st.just("") | _amounts,
    cache_write=st.just("") | _amounts,
    reasoning=st.just("") | _amounts,
    request=st.just("") | _amounts,
)


@given(
    price=_prices, prompt=st.integers(0, 10_000), completion=st.integers(0, 10_000), data=st.data(), batch=st.booleans()
)
def test_no_call_within_its_bounds_costs_more_than_its_worst_case(price, prompt, completion, data, batch):
    """However prompt tokens are divided into cached and written ones, and completion tokens into reasoning."""
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    reasoning = data.draw(st.integers(0, completion))
    cost = cost_of(Usage(prompt, completion, cached, written, reasoning), price, batch=batch)
    assert cost.amount is not None
    assert cost.amount <= worst_case(price, prompt, completion, batch=batch)


@given(amount=st.decimals(0, 10**6, places=9))
def test_costs_are_written_without_an_exponent(amount):
    """What reads reports needs no scientific notation."""
    text = cost_of(Usage(billed_usd=str(amount)), Price()).usd
    assert Decimal(text) == amount
    assert "E" not in text
