"""One side of a match: a block of several users at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from seen_calls import Onlooker
from served_sessions import session_in

from pytest_llmbench.ab.side import AbLoad, Side
from pytest_llmbench.ab.sides import opened, typed
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.serving import open_model


def test_users_at_once_are_told_by_the_tokens_a_second_of_all_of_them(tmp_path: Path) -> None:
    """Four requests of six tokens, two at a time: each repetition has the block's throughput; one user has none."""
    with DemoProvider(Answer("one two three four five six", ttft_s=0.02, itl_s=0.02)) as server:
        (tmp_path / "llmbench.yaml").write_text(f"servers: {{a: {{url: '{server.url}'}}}}\n")
        with session_in(tmp_path) as session:
            model = opened(session, typed("a/m"))
            two = Side("two", model, AbLoad(requests=4, output_tokens=6, users=2), session.book, "a")
            one = Side("one", model, AbLoad(requests=4, output_tokens=6), session.book, "b")
            for side in (two, one):
                side.begin(client_error={}, anchor_s=None)
                side.block(1, 1)
            assert [two.pairs(), one.pairs()] == [frozenset({1}), frozenset({1})]
            [rate] = two.medians("throughput_tps", [1])
            assert rate is not None
            assert 0 < rate < 24 / (2 * 0.12), "the server paces its tokens: no two users are faster than that"
            assert one.medians("throughput_tps", [1]) == [None]
            assert two.seconds(1) > 0


def test_what_a_block_cost_is_told_to_those_who_look_on(tmp_path: Path) -> None:
    """As of any other measurement: tokens × price, and nothing where a server of this machine has no price."""
    with DemoProvider(Answer("one two", prompt_tokens=1000)) as provider:
        models = "{paid: {price: {input: 2, output: 0}}}"
        (tmp_path / "llmbench.yaml").write_text(f"providers: {{lab: {{url: '{provider.url}', models: {models}}}}}\n")
        with session_in(tmp_path) as session:
            session.__dict__["observer"] = onlooker = Onlooker()
            for name in ("lab/paid", "lab/other"):
                side = Side(name, open_model(session, name), AbLoad(requests=1), session.book, name)
                side.begin(client_error={}, anchor_s=None)
                side.block(1, 1)
    assert [ended.cost.amount for ended in onlooker.ended] == [Decimal("0.002")] * 2 + [Decimal(0)] * 2


def test_a_server_does_not_outlive_a_block_whose_telling_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C, amid what follows on the first."""
    with DemoProvider(Answer("one two")) as server:
        (tmp_path / "llmbench.yaml").write_text(f"servers: {{a: {{url: '{server.url}'}}}}\n")
        with session_in(tmp_path) as session:
            side = Side("one", opened(session, typed("a/m")), AbLoad(requests=1), session.book, "a")
            side.begin(client_error={}, anchor_s=None)
            stopped: list[bool] = []
            monkeypatch.setattr(side._account, "tell", _interrupted)
            monkeypatch.setattr(side, "_stop", lambda: stopped.append(True))
            with pytest.raises(KeyboardInterrupt):
                side.block(1, 1)
    assert stopped == [True]


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_a_block_without_users_is_refused() -> None:
    """Nobody would ask."""
    with pytest.raises(UsageError, match="one user"):
        AbLoad(users=0)
