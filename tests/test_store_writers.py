"""Several processes on one database, and what is left of one that was killed."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench import clock
from pytest_llmbench.errors import StoreError
from pytest_llmbench.store import Store, sqlite_file
from pytest_llmbench.store.check import check

# Opens (and at first creates) the database, waits for the word, then writes and says so after each commit.
WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
import store_samples as samples
from pytest_llmbench.store import Store
name, count = sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with Store.open(Path(sys.argv[1])) as store:
    store.ensure_run(samples.run())
    store.start_measurement("run-1", samples.measurement(name, name))
    for n in range(count):
        store.save_result("run-1", samples.result(f"{name}-{n}"))
        store.save_reply("run-1", name, n, {}, samples.reply())
        store.save_repetition(name, samples.repetition(n))
        print(n, flush=True)
"""


def _start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(path), name, str(count), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def _let_go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def test_opening_a_database_twice_in_one_process_gives_up_no_lock(tmp_path: Path) -> None:
    """Another process would take itself for the last one, and delete the log under the one that is still open."""
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        for turn in range(3):
            Store.open(path).close()
            other = _start(path, f"m{turn}", 20)
            _let_go(other)
            other.communicate(timeout=120)
            assert path.with_name("results.db-wal").exists()
            store.save_result("run-1", samples.result(f"ours-{turn}"))
    assert check(path).problems == ()
    with Store.open(path) as store:
        assert len(store.load_run("run-1").results) == 63


@pytest.mark.parametrize("rounds", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_eight_processes_create_one_database_and_lose_nothing(tmp_path: Path, rounds: int) -> None:
    """All open a file that is not there yet at the same moment; every write of each (three a round) is kept, without an
    error."""
    path = tmp_path / "new" / "results.db"
    writers = [_start(path, f"w{n}", rounds) for n in range(8)]
    for writer in writers:
        _let_go(writer)
    for writer in writers:
        _, errors = writer.communicate(timeout=170)
        assert (writer.returncode, errors) == (0, "")

    with Store.open(path) as store:
        run = store.load_run("last")
    assert {result.key for result in run.results} == {f"w{w}-{n}" for w in range(8) for n in range(rounds)}
    assert len(run.replies) == 8 * rounds
    assert sorted((m.id, len(m.repetitions)) for m in run.measurements) == [(f"w{n}", rounds) for n in range(8)]
    assert {file.name for file in path.parent.iterdir()} == {"results.db"}


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_a_killed_writer_leaves_all_it_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    """`kill -9` in the midst of writing: each acknowledged row is there once, at most one more; the file is sound."""
    path = tmp_path / "results.db"
    writer = _start(path, "w", 100_000)
    assert writer.stdout is not None
    _let_go(writer)
    acked = [int(writer.stdout.readline()) for _ in range(acknowledged)]
    os.kill(writer.pid, signal.SIGKILL)
    # Not communicate() yet: it would miss the lines that readline has already buffered.
    acked += [int(line) for line in writer.stdout]
    writer.communicate(timeout=60)

    with Store.open(path) as store:
        run = store.load_run("run-1")
        store.save_result("run-1", samples.result("after"))
    kept = [result.key for result in run.results]
    assert len(kept) == len(set(kept))
    assert {f"w-{n}" for n in acked} <= set(kept)
    for rows in (kept, run.replies, run.measurements[0].repetitions):
        assert len(acked) <= len(rows) <= len(acked) + 1
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_creation_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    """Half a database under the working name, and journals of one that was deleted, do not disturb the next one."""
    path = tmp_path / "results.db"
    for leftover in ("results.db.new", "results.db.new-journal", "results.db-wal", "results.db-shm"):
        (tmp_path / leftover).write_bytes(b"half" * 100)

    with Store.open(path) as store:
        store.ensure_run(samples.run())
        assert store.load_run("last").id == "run-1"
    assert {file.name for file in tmp_path.iterdir()} == {"results.db"}


def test_a_reader_sees_what_others_committed_while_it_stays_open(tmp_path: Path) -> None:
    """Two open stores on one file: no stale view between calls."""
    with Store.open(tmp_path / "results.db") as one, Store.open(tmp_path / "results.db") as other:
        assert other.runs() == []
        one.ensure_run(samples.run())
        assert [run.id for run in other.runs()] == ["run-1"]


def test_transactions_that_read_before_they_write_take_turns(tmp_path: Path) -> None:
    """Finding the run and marking it open is one transaction; under several writers none fails."""
    with Store.open(tmp_path / "results.db") as store:
        store.ensure_run(samples.run())
        with ThreadPoolExecutor(4) as threads:
            reopened = list(threads.map(lambda _: store.reopen_run("last").id, range(400)))
    assert reopened == ["run-1"] * 400


def test_a_locked_database_is_named_after_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sits on the write lock makes the others fail in bounded time, with a hint whom to look for."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "results.db"
    with Store.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as sitting:
        sitting.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"keeps it locked(.|\n)*fuser"):
            store.ensure_run(samples.run())
        assert store.runs() == []


# Takes the write lock, says so, and keeps it until it is told to go on.
SITTER = """
import sys
from pathlib import Path
from pytest_llmbench.store import Store
with Store.open(Path(sys.argv[1])) as store, store._database.writing() as connection:
    connection.exec_driver_sql("UPDATE runs SET environment = '{\\"half\\": \\"done\\"}'")
    print("sitting", flush=True)
    sys.stdin.readline()
"""


def test_a_writer_that_is_stopped_with_the_lock_keeps_others_waiting_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z in a transaction: others read on, writers fail in bounded time with a clear error; when it goes on, its
    commit stands and they can write again."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.3)
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        sitter = subprocess.Popen(
            [sys.executable, "-c", SITTER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert sitter.stdout is not None
        assert sitter.stdout.readline() == "sitting\n"
        os.kill(sitter.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"another process keeps it locked(.|\n)*Ctrl-Z"):
            store.save_result("run-1", samples.result())
        assert time.monotonic() - began >= 0.3
        assert store.runs() == [samples.run()]
        os.kill(sitter.pid, signal.SIGCONT)
        sitter.communicate("go\n", timeout=60)
        store.save_result("run-1", samples.result())
        assert store.runs()[0].environment == {"half": "done"}
    assert check(path).problems == ()


def test_a_clock_that_jumps_bends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order and identity come from row numbers and keys, stamps are labels: the clock goes a year back half-way."""
    with Store.open(tmp_path / "results.db") as store:
        store.ensure_run(samples.run())
        store.start_measurement("run-1", samples.measurement())
        for n in range(6):
            year = 2025 if n < 3 else 2024
            monkeypatch.setattr(clock, "now", lambda year=year: datetime(year, 3, 30, 2, 30, tzinfo=UTC))
            store.save_result("run-1", samples.result(f"t{n}"))
            store.save_repetition("m1", samples.repetition(n), reply=({}, samples.reply(f"reply {n}")))
        store.finish_run("run-1", 0)
        run = store.load_run("last")
    assert [result.key for result in run.results] == [f"t{n}" for n in range(6)]
    assert [reply.text for reply in run.replies] == [f"reply {n}" for n in range(6)]
    assert [repetition.index for repetition in run.measurements[0].repetitions] == list(range(6))


def test_a_repetition_and_its_reply_are_one_write(tmp_path: Path) -> None:
    """Where the second of the two cannot be written, the first is not there either."""
    with Store.open(tmp_path / "results.db") as store:
        store.ensure_run(samples.run())
        store.start_measurement("run-1", samples.measurement())
        broken = dataclasses.replace(samples.repetition(0), metrics={"ttft_s": float("nan")})
        with pytest.raises(StoreError, match="cannot be kept"):
            store.save_repetition("m1", broken, reply=({}, samples.reply()))
        assert store.load_run("last").replies == []

        kept = store.save_repetition("m1", samples.repetition(0), reply=({"n": 0}, samples.reply()))
        again = store.save_repetition("m1", samples.repetition(0), reply=({"n": 1}, samples.reply("other", "h2")))
        run = store.load_run("last")
    assert kept == again == run.measurements[0].repetitions[0]
    assert [(reply.id, reply.text, reply.request) for reply in run.replies] == [(kept.reply_id, "Hello.", {"n": 0})]


def test_a_repetition_of_a_measurement_that_is_gone_says_so(tmp_path: Path) -> None:
    """A run removed while it was measured: an error with a reason, and no row without a parent."""
    with Store.open(tmp_path / "results.db") as store, pytest.raises(StoreError, match=r"never started(.|\n)*runs rm"):
        store.save_repetition("m1", samples.repetition(0), reply=({}, samples.reply()))
    assert check(tmp_path / "results.db").rows["replies"] == 0


def test_every_connection_logs_ahead_takes_the_lock_first_and_waits(tmp_path: Path) -> None:
    """WAL, BEGIN IMMEDIATE, busy timeout, references checked: read off the connections the store really uses."""
    with Store.open(tmp_path / "results.db") as store:
        with store._database.writing() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "auto_vacuum")
            }
            other = sqlite3.connect(tmp_path / "results.db", timeout=0)
            with closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        assert pragmas == {
            "journal_mode": "wal",
            "synchronous": 1,
            "busy_timeout": 30_000,
            "foreign_keys": 1,
            "auto_vacuum": 2,
        }


def test_a_removed_run_gives_its_space_back(tmp_path: Path) -> None:
    """The file shrinks to what is left in it, while another writer has it open and writes on."""
    path = tmp_path / "results.db"
    with Store.open(path) as store, Store.open(path) as other:
        for run_id in ("big", "small"):
            store.ensure_run(samples.run(run_id))
        for n in range(40):
            store.save_reply("big", "t1", n, {}, samples.reply("word " * 10_000))
        store._database.give_back_space()
        large = path.stat().st_size
        store.remove_run("big")
        other.save_result("small", samples.result())
        assert path.stat().st_size < large / 10
    found = check(path)
    assert (found.problems, found.free_bytes, found.rows["results"]) == ((), 0, 1)
