"""What a write costs while others write: eight processes, each one transaction after the other on one database.

The same work (read a row, insert one) as our store does it and as SQLite does it otherwise: write-ahead log or rollback
journal, the lock taken at once (BEGIN IMMEDIATE) or when first needed (Python's default). Prints latencies of a commit,
errors, the whole time, and each as a ratio to the first line; then what one reply costs through the store itself, and
what opening a database costs.

    python benchmarks/store_writes.py --writers 8 --writes 300
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_llmbench.records import Host, Reply, Run
from pytest_llmbench.store import Store

MODES = {
    "WAL, immediate, NORMAL (ours)": ("WAL", "NORMAL", "IMMEDIATE"),
    "WAL, immediate, FULL": ("WAL", "FULL", "IMMEDIATE"),
    "WAL, deferred": ("WAL", "NORMAL", "DEFERRED"),
    "rollback, immediate (network folders)": ("DELETE", "FULL", "IMMEDIATE"),
    "rollback, deferred (Python's default)": ("DELETE", "FULL", "DEFERRED"),
}
THROUGH_STORE = "through the store: one reply"
BUSY_S = 30.0
BODY = "word " * 100


def plain_writer(path: Path, name: str, mode: str) -> Callable[[int], None]:
    """One transaction of bare SQLite: read, then insert."""
    journal, synchronous, begin = MODES[mode]
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute(f"PRAGMA synchronous={synchronous}")

    def write(n: int) -> None:
        connection.execute(f"BEGIN {begin}")
        try:
            connection.execute("SELECT count(*) FROM replies WHERE name = ? AND n = ?", (name, n)).fetchone()
            connection.execute("INSERT INTO replies VALUES (?, ?, ?)", (name, n, BODY))
            connection.execute("COMMIT")
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    return write


def store_writer(path: Path, name: str) -> Callable[[int], None]:
    """One reply as a test stores it."""
    store = Store.open(path)
    return lambda n: store.save_reply("run", name, n, {"n": n}, Reply(BODY, "model", request_hash="hash")) and None


def work(path: Path, name: str, mode: str, writes: int) -> None:
    """One writer: prints its latencies in seconds and its errors as JSON."""
    write = store_writer(path, name) if mode == THROUGH_STORE else plain_writer(path, name, mode)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    latencies, errors = [], 0
    for n in range(writes):
        started = time.perf_counter()
        try:
            write(n)
        except sqlite3.OperationalError:
            errors += 1
        else:
            latencies.append(time.perf_counter() - started)
    json.dump({"latencies": latencies, "errors": errors}, sys.stdout)


def contest(folder: Path, mode: str, writers: int, writes: int) -> tuple[list[float], int, float]:
    """(sorted latencies of what was committed, errors, seconds until the last writer was done)."""
    path = folder / "results.db"
    if mode == THROUGH_STORE:
        with Store.open(path) as store:
            store.ensure_run(Run("run", "", None, None, Host("", "", "", ""), {}, {}))
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA journal_mode={MODES[mode][0]}")
            connection.execute("CREATE TABLE replies (name, n, body, UNIQUE (name, n))")
        connection.close()
    command = [sys.executable, __file__, "--work", str(path), "--mode", mode, "--writes", str(writes)]
    crowd = [
        subprocess.Popen([*command, "--name", f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(writers)
    ]
    for writer in crowd:
        assert writer.stdout is not None
        writer.stdout.readline()
    started = time.perf_counter()
    for writer in crowd:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [json.loads(writer.communicate()[0]) for writer in crowd]
    seconds = time.perf_counter() - started
    return sorted(value for each in told for value in each["latencies"]), sum(e["errors"] for e in told), seconds


def opening(folder: Path) -> float:
    """Seconds to open and close an up-to-date database, the median of 50."""
    times = []
    for _ in range(50):
        started = time.perf_counter()
        Store.open(folder / "results.db").close()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Run every mode, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--writes", type=int, default=300)
    for hidden in ("--work", "--mode", "--name"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(Path(options.work), options.name, options.mode, options.writes)
        return
    total = options.writers * options.writes
    print(f"{options.writers} writers x {options.writes} transactions, SQLite {sqlite3.sqlite_version}\n")
    print(f"{'':40}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'errors':>14}{'total s':>9}{'ratio':>8}")
    ours = 0.0
    for mode in [*MODES, THROUGH_STORE]:
        with tempfile.TemporaryDirectory() as folder:
            latencies, errors, seconds = contest(Path(folder), mode, options.writers, options.writes)
            opened = opening(Path(folder)) if mode == THROUGH_STORE else 0.0
        ours = ours or seconds
        p50, p99, worst = (1000 * latencies[int(share * (len(latencies) - 1))] for share in (0.5, 0.99, 1))
        failed = f"{errors} ({errors / total:.1%})"
        print(f"{mode:40}{p50:9.2f}{p99:9.1f}{worst:9.1f}{failed:>14}{seconds:9.2f}{seconds / ours:8.2f}")
    print(f"\nopening and closing an up-to-date database: {1000 * opened:.2f} ms")


if __name__ == "__main__":
    main()
