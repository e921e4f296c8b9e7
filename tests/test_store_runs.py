"""Finding runs by what a user types, and removing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench import clock
from pytest_llmbench.errors import UsageError
from pytest_llmbench.header import new_run
from pytest_llmbench.store import Store

IDS = ("20250101-aaaa", "20250102-bbbb", "20250102-bccc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        for day, run_id in enumerate(IDS, start=1):
            opened.ensure_run(samples.run(run_id, f"2025-01-0{day}T00:00:00+00:00"))
        yield opened


def test_runs_are_listed_newest_first(store: Store) -> None:
    """The list has headers only, in the order people look for them."""
    assert [run.id for run in store.runs()] == list(reversed(IDS))


@pytest.mark.parametrize(
    ("wanted", "found"), [("20250101-aaaa", IDS[0]), ("20250101", IDS[0]), ("20250102-bb", IDS[1]), ("last", IDS[2])]
)
def test_a_run_is_found_by_id_by_beginning_and_as_last(store: Store, wanted: str, found: str) -> None:
    """Nobody types a whole id."""
    assert store.load_run(wanted).id == found


def test_an_exact_id_wins_over_longer_ones(store: Store) -> None:
    """An id that is the beginning of another one can still be named."""
    store.ensure_run(samples.run("2025"))

    assert store.load_run("2025").id == "2025"


def test_an_ambiguous_beginning_names_the_runs_it_fits(store: Store) -> None:
    """The error lists what to choose from."""
    with pytest.raises(UsageError, match=r"2 runs: 20250102-bccc, 20250102-bbbb\n"):
        store.load_run("20250102")


def test_a_mistyped_id_is_answered_with_near_ones(store: Store) -> None:
    """A slip of the finger gets the run that was meant."""
    with pytest.raises(UsageError, match=r"no run '20250101-aaba'; near ones: 20250101-aaaa"):
        store.load_run("20250101-aaba")


@pytest.mark.parametrize("wanted", ["", "zebra", "%"])
def test_an_unknown_id_is_answered_with_the_newest(store: Store, wanted: str) -> None:
    """Where nothing is near, the newest runs are named; wildcards and the empty text fit nothing."""
    with pytest.raises(UsageError, match="the newest are: 20250102-bccc"):
        store.load_run(wanted)


@pytest.mark.parametrize("wanted", ["last", "20250101"])
def test_an_empty_database_says_that_it_is_empty(tmp_path: Path, wanted: str) -> None:
    """`last` of nothing is a usage error, not a crash."""
    with Store.open(tmp_path / "fresh.db") as fresh, pytest.raises(UsageError, match="no run is stored yet"):
        fresh.load_run(wanted)


def test_removing_a_run_takes_all_of_its_rows_and_no_others(store: Store, path: Path) -> None:
    """Every table is emptied of the removed run; the other run is untouched."""
    for run_id in IDS[:2]:
        store.save_result(run_id, samples.result())
        store.save_reply(run_id, "t1", 0, {}, samples.reply())
        store.start_measurement(run_id, samples.measurement(f"m-{run_id}"))
        store.save_repetition(f"m-{run_id}", samples.repetition(0))
        store.save_gates(run_id, [samples.gate()])
        store.save_failed_attempt(run_id, "t1", samples.failed_attempt())
    other = store.load_run(IDS[1])

    store.remove_run(IDS[0])

    assert [run.id for run in store.runs()] == [IDS[2], IDS[1]]
    assert store.load_run(IDS[1]) == other
    with closing(sqlite3.connect(path)) as plain:
        for table in ("results", "replies", "measurements", "repetitions", "gates", "failed_attempts"):
            assert plain.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table


def test_the_id_of_a_removed_reply_is_not_given_again(store: Store) -> None:
    """A reference in an old report must not come to point at another run's reply."""
    removed = store.save_reply(IDS[0], "t1", 0, {}, samples.reply())
    store.remove_run(IDS[0])

    assert store.save_reply(IDS[1], "t1", 0, {}, samples.reply()).id != removed.id


def test_removing_an_unknown_run_removes_nothing(store: Store) -> None:
    """A slip of the finger must not cost a run."""
    with pytest.raises(UsageError, match="near ones"):
        store.remove_run("20250101-aaaX")
    assert len(store.runs()) == 3


def test_the_last_of_two_runs_that_began_within_a_second_is_the_later(tmp_path: Path) -> None:
    """Their ids end by chance; the time they bear tells them apart."""
    store = Store.open(tmp_path / "results.db")
    for run_id in ("20250101-000000-ffffff", "20250101-000000-000000"):
        store.ensure_run(new_run(run_id, tmp_path, ["pytest"], {}))
        clock.sleep(0.002)
    assert store.load_run("last").id == "20250101-000000-000000"
    store.close()
