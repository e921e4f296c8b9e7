"""Damaged databases: what the check finds, what is saved, and that nothing worse than a StoreError happens."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench import clock
from pytest_llmbench.errors import StoreError, UsageError
from pytest_llmbench.store import Store
from pytest_llmbench.store.check import check
from pytest_llmbench.store.salvage import recover, salvage

PAGE = 4096


def _filled(path: Path, rows: int = 60) -> Path:
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        store.start_measurement("run-1", samples.measurement())
        for n in range(rows):
            store.save_repetition("m1", samples.repetition(n), reply=({"n": n}, samples.reply("word " * 200)))
            store.save_result("run-1", samples.result(f"t{n}"))
            store.save_failed_attempt("run-1", "t1", samples.failed_attempt(n))
        store.save_gates("run-1", [samples.gate()])
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good database in which every table has rows."""
    return _filled(tmp_path / "results.db")


def _leaf_pages(path: Path, table: str) -> list[int]:
    """The pages that hold the rows of a table, from 1."""
    with closing(sqlite3.connect(path)) as plain:
        found = plain.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY 1", (table,))
        return [page for (page,) in found]


def _spoil(path: Path, *pages: int) -> None:
    content = bytearray(path.read_bytes())
    for page in pages:
        content[(page - 1) * PAGE : page * PAGE] = b"\xff" * PAGE
    path.write_bytes(content)


def test_a_sound_database_is_told_so_and_left_alone(path: Path) -> None:
    """Counts, format and runs without an end are told; the file is the same afterwards, and nothing is beside it."""
    before = path.read_bytes()
    found = check(path)

    assert found.problems == ()
    assert found.rows == {
        "runs": 1,
        "failed_attempts": 60,
        "gates": 1,
        "lane_states": 0,
        "measurements": 1,
        "replies": 60,
        "results": 60,
        "spending": 0,
        "batches": 0,
        "cells": 0,
        "batch_questions": 0,
        "repetitions": 60,
        "monitor_samples": 0,
        "summaries": 0,
    }
    assert found.unfinished_runs == ("run-1",)
    assert (found.journal_mode, found.journal_bytes, found.size_bytes) == ("wal", 0, len(before))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["results.db"]


def test_a_database_in_use_is_checked_with_what_waits_in_its_log(path: Path) -> None:
    """A writer may go on meanwhile; what it committed counts, folded into the file or not."""
    with Store.open(path) as store:
        store.save_result("run-1", samples.result("new"))
        found = check(path)
        store.save_result("run-1", samples.result("newer"))

    assert (found.problems, found.rows["results"]) == ((), 61)
    assert found.journal_bytes > 0


def test_damage_orphans_and_broken_values_are_problems(path: Path) -> None:
    """Each kind is named with its table: a garbled page, a row whose parent is gone, text that is no JSON."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE measurements SET settings = '{'")
        plain.execute("UPDATE results SET run_id = 'gone' WHERE key IN ('t1', 't2')")
    assert set(check(path).problems) == {
        "results: 2 rows belong to something that is not there",
        "measurements.settings: 1 values are no JSON",
    }

    _spoil(path, _leaf_pages(path, "replies")[2])
    assert any(problem.startswith("damage: ") for problem in check(path).problems)


def test_a_value_that_is_no_json_is_damage_and_no_crash(path: Path) -> None:
    """Bits may flip within a structure; reading it back says that the file is damaged and what to do."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE replies SET usage = '{\"prompt_tok' WHERE id = 7")

    with Store.open(path) as store, pytest.raises(StoreError, match=r"no JSON(.|\n)*llmbench db recover"):
        store.load_run("last")


def test_json_with_garbled_names_is_damage_and_no_crash(path: Path) -> None:
    """A bit may flip within a name: the JSON is whole, yet no record can be made of it."""
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE runs SET host = replace(host, 'cpu_model', 'cpu_mndel')")

    with Store.open(path) as store, pytest.raises(StoreError, match=r"no Host (.|\n)*llmbench db recover"):
        store.runs()


def test_a_garbled_list_of_tables_is_told_as_damage(path: Path, tmp_path: Path) -> None:
    """SQLite quotes the garbled text in its message, which is then no UTF-8 either."""
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE gates", b"CREATE TAB\xdf\xff gates"))

    assert check(path).problems[0].startswith("it is damaged")
    for use in (Store.open, lambda file: salvage(file, tmp_path / "saved.db")):
        with pytest.raises(StoreError, match="damaged"):
            use(path)
    assert not (tmp_path / "saved.db").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "it is empty (0 bytes)"), (b"plain text " * 1000, "it is not an SQLite database")],
)
def test_what_is_no_database_is_a_problem(path: Path, content: bytes, problem: str) -> None:
    """The check answers for every file; only one that is not there is an error."""
    path.write_bytes(content)
    assert check(path).problems[0].startswith(problem)

    path.unlink()
    with pytest.raises(StoreError, match="No such file"):
        check(path)


def test_another_programs_database_and_a_newer_format_are_problems(path: Path) -> None:
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '0999'")
    assert check(path).problems == ("it has format 0999, this version of pytest-llmbench reads formats up to 0009",)
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("PRAGMA application_id = 17")
    assert check(path).problems == ("it is an SQLite database, but not one of pytest-llmbench",)


def test_salvage_keeps_every_row_of_the_pages_that_are_whole(path: Path, tmp_path: Path) -> None:
    """Rows on garbled pages are lost and no others; the new database is sound, the old one untouched."""
    lost_results, lost_replies = _leaf_pages(path, "results")[1], _leaf_pages(path, "replies")[3]
    with closing(sqlite3.connect(path)) as plain:
        cells = dict(
            plain.execute("SELECT pageno, ncell FROM dbstat WHERE pageno IN (?, ?)", (lost_results, lost_replies))
        )
    with Store.open(path) as store:
        whole = store.load_run("last")
    _spoil(path, lost_results, lost_replies)
    before = path.read_bytes()

    saved = salvage(path, tmp_path / "saved.db")

    assert path.read_bytes() == before
    assert check(tmp_path / "saved.db").problems == ()
    with Store.open(tmp_path / "saved.db") as store:
        run = store.load_run("last")
    assert len(run.results) == saved.rows["results"] == 60 - cells[lost_results]
    assert len(run.replies) == saved.rows["replies"] == 60 - cells[lost_replies]
    assert run.measurements == whole.measurements
    assert run.failed_attempts == whole.failed_attempts
    assert all(result in whole.results for result in run.results)
    assert (saved.dropped, saved.headless_runs) == ({}, ())


def test_a_garbled_name_of_a_column_is_damage(path: Path, tmp_path: Path) -> None:
    """The list of tables can be read, and does not fit: not an error of SQL, and its rows are saved."""
    content = path.read_bytes()
    assert content.count(b"partial_text TEXT") == 1
    path.write_bytes(content.replace(b"partial_text TEXT", b"partial_texq TEXT"))
    with Store.open(path) as store, pytest.raises(StoreError, match="it is damaged"):
        store.load_run("run-1")
    assert salvage(path, tmp_path / "saved.db").rows["replies"] == 60


def test_an_absurd_row_number_does_not_make_salvage_endless(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped bit in a counter, and a page that cannot be read: nobody steps through all numbers in between."""
    monkeypatch.setattr("pytest_llmbench.store.salvage._GAP_STEPS", 200)
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE sqlite_sequence SET seq = 1 << 61 WHERE name = 'results'")
    _spoil(path, _leaf_pages(path, "results")[-1])
    assert 0 < salvage(path, tmp_path / "saved.db").rows["results"] < 60


def test_a_run_whose_header_is_lost_gets_a_blank_one(path: Path, tmp_path: Path) -> None:
    """Its results and replies are worth more than its machine: they are kept, and the run is named."""
    _spoil(path, *_leaf_pages(path, "runs"), *_leaf_pages(path, "measurements"))

    saved = salvage(path, tmp_path / "saved.db")

    assert saved.headless_runs == ("run-1",)
    assert saved.dropped == {"repetitions": 60}
    with Store.open(tmp_path / "saved.db") as store:
        run = store.load_run("run-1")
    assert (len(run.results), len(run.replies), run.host.cpu_model) == (60, 60, "")


def test_recovering_replaces_the_database_and_puts_the_damaged_one_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the store opens as usual; every byte of the damaged file is kept under another name."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC))
    _spoil(path, _leaf_pages(path, "replies")[3])
    damaged = path.read_bytes()

    saved, aside = recover(path)

    assert aside.name == "results.db.damaged-20250102T030405Z"
    assert aside.read_bytes() == damaged
    assert saved.target == str(path)
    assert {file.name for file in path.parent.iterdir()} == {"results.db", aside.name}
    with Store.open(path) as store:
        store.save_result("run-1", samples.result("after"))
        assert len(store.load_run("last").results) == 61


def test_what_a_killed_writer_left_in_its_log_is_recovered_too(path: Path, tmp_path: Path) -> None:
    """The journal belongs to the database: it is read with it, and goes aside with it."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with Store.open(path) as store:
        store.save_result("run-1", samples.result("only in the log"))
        for file in path.parent.glob("results.db*"):
            (killed / file.name).write_bytes(file.read_bytes())
    log = (killed / "results.db-wal").read_bytes()

    saved, aside = recover(killed / "results.db")

    assert saved.rows["results"] == 61
    assert aside.with_name(aside.name + "-wal").read_bytes() == log
    assert {file.name for file in killed.iterdir()} == {"results.db", aside.name, aside.name + "-wal"}


def test_a_database_in_use_is_not_recovered(path: Path) -> None:
    """Whoever has it open would go on writing to the file that was put aside."""
    before = {file.name for file in path.parent.iterdir()}
    with Store.open(path), pytest.raises(StoreError, match="another process keeps it locked"):
        recover(path)
    assert {file.name for file in path.parent.iterdir()} == before
    assert check(path).problems == ()


def test_a_file_that_exists_is_never_the_target(path: Path, tmp_path: Path) -> None:
    """Saving must not cost another file."""
    target = tmp_path / "precious"
    target.write_text("precious")
    with pytest.raises(StoreError, match="it exists already"):
        salvage(path, target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 400), marks=pytest.mark.slow)], ids=["few", "many"])
def test_no_damage_does_worse_than_a_store_error(tmp_path: Path, seeds: range) -> None:
    """Bits flipped and pages overwritten at random: each verb of the store works or raises StoreError, and what is
    saved from it is a sound database that loads."""
    good = _filled(tmp_path / "good.db", rows=20).read_bytes()
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = folder / "results.db"
        path.write_bytes(_damaged(good, random.Random(seed)))
        check(path)
        with contextlib.suppress(StoreError):
            salvage(path, folder / "saved.db")
            assert check(folder / "saved.db").problems == (), seed
            with Store.open(folder / "saved.db") as store:
                for run in store.runs():
                    store.load_run(run.id)
        with contextlib.suppress(StoreError, UsageError), Store.open(path) as store:
            store.load_run("last")
            store.save_result("run-1", samples.result("new"))


def _damaged(good: bytes, chance: random.Random) -> bytes:
    content = bytearray(good)
    whole_pages = chance.random() < 0.5
    for _ in range(chance.choice([1, 3, 20])):
        at = chance.randrange(len(content))
        if whole_pages:
            content[at // PAGE * PAGE : (at // PAGE + 1) * PAGE] = chance.randbytes(PAGE)
        else:
            content[at] ^= 1 << chance.randrange(8)
    return bytes(content)
