"""What is left of a measurement that was cut off: by its store, by a resume, by a server that is gone."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import IDLE, child
from served_sessions import session_in, stored
from stands import dirty_for, measured, of_provider, stand_at, stand_of

from pytest_llmbench import clock
from pytest_llmbench.bench import Planned, Timed, watch
from pytest_llmbench.bench.account import Account
from pytest_llmbench.benching import run_bench
from pytest_llmbench.demo import Answer, DemoProvider, Failure
from pytest_llmbench.errors import Category, StoreError
from pytest_llmbench.records import Measurement, ModelFile, Repetition
from pytest_llmbench.serving import ServedModel, open_model
from pytest_llmbench.session import Session
from pytest_llmbench.store import Store

ANSWER = Answer("one two three")


def full_disk(*_: object) -> None:
    raise StoreError("the disk is full", category=Category.STORE)


def kept_until(count: int) -> Callable[[Account, Timed], Repetition]:
    """`Account.keep` of a process that is killed after so many repetitions."""
    keep, left = Account.keep, [count]

    def keep_or_die(account: Account, timed: Timed) -> Repetition:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return keep(account, timed)

    return keep_or_die


def model_served_by(session: Session, **server: Any) -> ServedModel:
    """The configured model, behind a server that is told to be this process."""
    model = open_model(session, "lab/m")
    told = dataclasses.replace(model.server(), **server)
    model.server = lambda: told  # type: ignore[method-assign]
    return model


def test_a_load_ends_with_the_measurement_whose_results_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is let go then: nothing of ours may go on asking, for as long as anybody looks at the error."""
    monkeypatch.setattr(Account, "keep", full_disk)
    with DemoProvider(Answer("one two three", ttft_s=0.02)) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no") as session:
            with pytest.raises(StoreError, match="the disk is full") as caught:
                measured(session, "lab/m", "stress", seconds=20, output_tokens=3)
            asked = len(provider.chats())
            clock.sleep(0.5)
            assert len(provider.chats()) <= asked
            assert caught.value.category is Category.STORE


def test_a_server_that_refuses_unknown_fields_refuses_several_requests_at_once(tmp_path: Path) -> None:
    """All that were under way with the fields are sent once more without."""

    def strict(body: Any) -> Answer | Failure:
        return Failure(400, "unknown field cache_prompt") if "cache_prompt" in body else ANSWER

    with stand_at(tmp_path, strict) as stand:
        came = list(stand.ask_all([Planned(n, 0, "prompt", 3) for n in range(4)], concurrency=4))
    assert len(came) == 4


def test_samples_that_cannot_be_kept_do_not_hide_why_a_measurement_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C stays Ctrl-C."""
    monkeypatch.setattr(Store, "save_samples", full_disk)
    with stand_at(tmp_path) as stand, pytest.raises(KeyboardInterrupt), watch.watched(stand._account):
        raise KeyboardInterrupt


def test_what_was_taken_again_before_an_interruption_is_kept_beside_what_is_taken_again_after_it(
    tmp_path: Path,
) -> None:
    """Killed between a disturbed repetition and its successor: both disturbed ones stay in the account."""
    with DemoProvider(ANSWER) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path, retakes="2") as session, stand_of(session, "lab/m", window=dirty_for(1)) as stand:
            stand.ask(Planned(0, 0, "prompt", 3))
            begun = stored(session).measurements[0]
            again = Account(begun, session.book, dirty_for(1))
            stand._account = stand._asking._account = again
            stand.ask(Planned(0, 0, "prompt", 3))
            found = stored(session).measurements[0]
    assert [(r.index % 1_000_000, r.superseded) for r in found.repetitions] == [(0, True), (0, True)]


def test_every_server_that_measured_is_told_after_two_interruptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is switched off twice: three servers, each with its part."""
    keep = Account.keep
    with DemoProvider(ANSWER) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no") as session:

            def measured_by(started_at: float) -> Measurement:
                model = model_served_by(session, pid=os.getpid(), started_at=started_at)
                session._measured.clear()
                choices = {"prompts": ("a", "b", "c"), "rounds": 1, "output_tokens": 3}
                return run_bench(session, model, "interactive", choices)

            for started_at in (1.0, 2.0):
                monkeypatch.setattr(Account, "keep", kept_until(1))
                with pytest.raises(KeyboardInterrupt):
                    measured_by(started_at)
            monkeypatch.setattr(Account, "keep", keep)
            found = measured_by(3.0)
    assert len(found.counted) == 3
    assert found.server["started_at"] == 3.0
    assert [server["started_at"] for server in found.server["earlier"]] == [1.0, 2.0]


def test_a_load_that_had_been_enough_before_an_interruption_says_so_with_its_own_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is left to do is to conclude it: no round is said to be the last that was followed by others."""
    choices = {"prompts": ("a", "b", "c", "d"), "rounds": 10, "output_tokens": 3, "precision": 1e9}
    with DemoProvider(Answer("one two three", itl_s=0.005)) as provider:
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no") as session:
            with monkeypatch.context() as cut_off:
                cut_off.setattr(Store, "finish_measurement", full_disk)
                with pytest.raises(StoreError):
                    measured(session, "lab/m", "interactive", **choices)
            session._measured.clear()
            found = measured(session, "lab/m", "interactive", **choices)
    rounds = len(found.counted) // 4
    assert len(found.counted) % 4 == 0
    assert rounds > 1
    assert any(note.startswith(f"stopped after round {rounds} of 10") for note in found.notes)


def test_the_peak_of_a_server_that_is_gone_at_the_end_is_what_was_last_seen_of_it(tmp_path: Path) -> None:
    """One that died under stress, or was stopped for a larger one that did not start: its memory was measured."""
    with DemoProvider(ANSWER) as provider, child(IDLE) as (pid, _):
        of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="no", monitor_interval_s="0.05") as session:
            model = model_served_by(session, pid=pid)
            answered = [0]

            def dies(body: Any) -> Answer:
                answered[0] += 1
                if answered[0] == 4:
                    os.kill(pid, signal.SIGKILL)
                return Answer("one two three", ttft_s=0.3)

            provider.follow(dies)
            choices = {"prompts": ("a",), "rounds": 3, "output_tokens": 3}
            found = run_bench(session, model, "interactive", choices)
    assert found.scalars["peak_rss_bytes"] > 1 << 20


def test_the_engines_own_endpoints_are_those_of_the_server_that_runs_now(tmp_path: Path, smollm2: ModelFile) -> None:
    """A profile that counts tokens goes on counting where a request was repeated on a new server."""
    with session_in(tmp_path) as session, stand_of(session, smollm2.name) as stand:
        api = stand.api()
        assert api is not None
        before = api.tokenize("Hello.")
        pid = stand.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert stand.ask(Planned(0, 0, "Hello.", 2)).reply is not None
        assert stand.server.pid != pid
        assert api.tokenize("Hello.") == before


def test_a_model_whose_load_needs_another_server_does_not_keep_its_own(tmp_path: Path, smollm2: ModelFile) -> None:
    """Where memory holds one server: the declared one makes room for the fitted one, and that one for the next."""
    with session_in(tmp_path, calibrate="no", monitor_interval_s="5", retakes="0") as session:
        session.supervisor._capacity_bytes = 330 << 20
        model = open_model(session, smollm2.name)
        model.server()
        choices = {"levels": (1,), "requests": 2, "output_tokens": 3, "slots": 2}
        assert run_bench(session, model, "load", choices).settings["subject"]["slots"] == 2
        assert model.ask("Hello.", max_tokens=2).text


def test_servers_that_only_a_measurement_wanted_are_let_go_with_it(tmp_path: Path, smollm2: ModelFile) -> None:
    """Also where it fails: the next one of the same test may need the room."""
    with session_in(tmp_path, calibrate="no", monitor_interval_s="5", retakes="0") as session:
        choices = {"source": ("A short text.",), "slots": (1, 2), "output_tokens": 3, "warmup": 0}
        found = run_bench(session, open_model(session, smollm2.name), "batch", choices)
        assert session.grants._claimed == []
    assert found.scalars["peak_rss_bytes"] > 50 << 20
