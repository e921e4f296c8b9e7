"""The memory ledger alone: what fits, what has to leave, what waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.servers.ledger import Ledger

CLAIMS = st.lists(
    st.tuples(
        st.integers(1, 4), st.dictionaries(st.sampled_from("abcde"), st.integers(1, 60), min_size=1), st.booleans()
    ),
    max_size=30,
)
SIZES = {"a": 10, "b": 20, "c": 30, "d": 40, "e": 60}


def test_idle_servers_leave_longest_idle_first_and_no_more_than_needed() -> None:
    """What was used last is likeliest to be used next."""
    ledger = Ledger(100)
    for client, key in enumerate("abc"):
        ledger.take(client, {key: 30}, [])
    for client, key in ((1, "b"), (0, "a"), (2, "c")):
        ledger.give_back(client, [key])
    assert ledger.evictions({"d": 30}) == ["b"]
    assert ledger.evictions({"d": 60}) == ["b", "a"]
    assert ledger.evictions({"d": 10}) == []


def test_a_claimed_server_never_leaves() -> None:
    """Who needs its room waits."""
    ledger = Ledger(100)
    ledger.take(1, {"a": 60}, [])
    assert ledger.evictions({"b": 50}) is None
    ledger.give_back(1, ["a"])
    assert ledger.evictions({"b": 50}) == ["a"]


def test_a_shared_server_is_free_when_its_last_claim_is_given_back() -> None:
    """Claims are counted, per client."""
    ledger = Ledger(100)
    ledger.take(1, {"a": 60}, [])
    ledger.take(1, {"a": 60}, [])
    ledger.take(2, {"a": 60}, [])
    ledger.give_back(1, ["a"])
    ledger.give_back_all(2)
    assert ledger.holds(1)
    assert ledger.evictions({"b": 50}) is None
    ledger.give_back(1, ["a"])
    assert not ledger.holds(1)
    assert ledger.evictions({"b": 50}) == ["a"]


def test_giving_back_what_one_does_not_hold_changes_nothing() -> None:
    """A claim that is withdrawn twice ends once."""
    ledger = Ledger(100)
    ledger.take(1, {"a": 60}, [])
    ledger.give_back(2, ["a", "unknown"])
    assert ledger.evictions({"b": 50}) is None


@given(CLAIMS)
def test_memory_is_never_promised_twice(claims: list[tuple[int, dict[str, int], bool]]) -> None:
    """Whatever is claimed and given back in whatever order, the seats taken fit."""
    ledger, taken = Ledger(100), set()
    for client, wanted, give_back in claims:
        needs = {key: SIZES[key] for key in wanted}
        if give_back:
            ledger.give_back_all(client)
        elif (leaving := ledger.evictions(needs)) is not None:
            assert not set(leaving) & set(needs)
            ledger.take(client, needs, leaving)
            taken = (taken - set(leaving)) | set(needs)
        assert sum(SIZES[key] for key in taken) <= ledger.capacity_bytes
