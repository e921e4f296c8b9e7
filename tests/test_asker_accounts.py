"""Leases: sessions that use one account at the same time know of each other, and forget those that are gone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from asked_models import Provider, questions, target
from virtual_time import run_virtually

from pytest_llmbench.asker.accounts import EXPIRY_S, RENEW_S, Lease
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.rules import Rules

KEY = ("cloud", "https://cloud.example", "fingerprint", "one")


def test_sessions_of_one_account_count_each_other_until_they_end(tmp_path: Path) -> None:
    """Each renewal tells how many there are; a session that ends takes its lease along."""
    first, second, other = Lease(tmp_path, KEY), Lease(tmp_path, KEY), Lease(tmp_path, (*KEY[:3], "two"))
    assert first.renew() == 1
    assert second.renew() == 2
    assert first.renew() == 2
    assert other.renew() == 1
    second.end()
    assert first.renew() == 1
    first.end()
    other.end()
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_was_killed_is_forgotten_after_its_lease_has_run_out(tmp_path: Path) -> None:
    """Nobody renews its file any more; the next one who looks removes it."""
    killed, living = Lease(tmp_path, KEY), Lease(tmp_path, KEY)
    killed.renew()
    assert living.renew() == 2
    for path in tmp_path.rglob("*-*"):
        os.utime(path, (0, path.stat().st_mtime - EXPIRY_S - 1))
    assert living.renew() == 1
    assert len(list(tmp_path.rglob("*-*"))) == 1


def test_leases_are_for_their_user_alone(tmp_path: Path) -> None:
    """The folder tells which accounts are in use, so nobody else may look."""
    folder = tmp_path / "accounts"
    Lease(folder, KEY).renew()
    (account,) = folder.iterdir()
    assert account.stat().st_mode & 0o077 == 0
    assert KEY[2] not in account.name


def test_a_folder_that_cannot_be_used_leaves_the_session_alone_in_the_world(tmp_path: Path) -> None:
    """A file where the folder should be: the session works all the same."""
    (tmp_path / "file").write_text("")
    lease = Lease(tmp_path / "file", KEY)
    assert lease.renew() == 1
    lease.end()


@pytest.mark.parametrize(("account", "at_once"), [("fingerprint", 10), ("", 20)])
def test_two_sessions_of_one_account_ask_half_as_much_at_once_each(tmp_path: Path, account: str, at_once: int) -> None:
    """Shared from the first request on; without a key nobody is limited together."""
    provider = Provider()
    asked = questions(100, target(account=account))

    async def work() -> None:
        rules = Rules(max_concurrency=20)
        other = Dispatcher(Provider().means(), rules, accounts=tmp_path)
        other.plan(questions(1, target(account=account)))
        ours = Dispatcher(provider.means(), rules, accounts=tmp_path)
        await ours.reply_all(asked)
        assert provider.most_under_way == at_once
        other.close()
        await asyncio.sleep(RENEW_S + 1)
        assert ours.status().models[0].limit == 20
        ours.close()

    run_virtually(work)
    assert list(tmp_path.iterdir()) == []
