"""Several processes on one database, and what is left of one that was killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench.store import Store

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


def test_eight_processes_create_one_database_and_lose_nothing(tmp_path: Path) -> None:
    """All open a file that is not there yet at the same moment; every write of each is kept, without an error."""
    path = tmp_path / "new" / "results.db"
    writers = [_start(path, f"w{n}", 25) for n in range(8)]
    for writer in writers:
        _let_go(writer)
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert (writer.returncode, errors) == (0, "")

    with Store.open(path) as store:
        run = store.load_run("last")
    assert {result.key for result in run.results} == {f"w{w}-{n}" for w in range(8) for n in range(25)}
    assert len(run.replies) == 8 * 25
    assert sorted((m.id, len(m.repetitions)) for m in run.measurements) == [(f"w{n}", 25) for n in range(8)]
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
    from pytest_llmbench.errors import StoreError
    from pytest_llmbench.store import sqlite_file

    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "results.db"
    with Store.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as sitting:
        sitting.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"keeps it locked(.|\n)*fuser"):
            store.ensure_run(samples.run())
        assert store.runs() == []
