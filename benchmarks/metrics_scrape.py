"""What `/metrics` costs: the first look at a database with many replies, and each look after it.

Fills a database with replies of usual size (times between tokens, text) and looks at it as `llmbench metrics --serve`
does: once from the beginning, then while a hundred replies come in between; and at one run of several. Prints seconds,
and the bytes of an answer.

    python benchmarks/metrics_scrape.py --replies 100000
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_llmbench.observe.exposition import exposed
from pytest_llmbench.observe.watching import Onlooker, View, Watched
from pytest_llmbench.records import Cost, Host, Reply, Run, TestResult, Timing, Usage
from pytest_llmbench.store import Store

TEXT = "word " * 150
TOKENS = 150
MODELS = 6
LOOKS = 20


def reply(n: int) -> Reply:
    """One of 150 tokens."""
    timing = Timing(ttft_s=0.2 + n % 50 / 100, last_token_s=3.2, e2e_s=3.3, gaps_s=(0.02,) * (TOKENS - 1))
    usage = Usage(prompt_tokens=200, completion_tokens=TOKENS, cached_tokens=0)
    return Reply(
        TEXT, f"lab/m{n % MODELS}", usage=usage, timing=timing, cost=Cost("0.0012", "priced"), request_hash="h"
    )


def fill(store: Store, run_id: str, begin: int, count: int) -> None:
    """Replies and results of a run."""
    kept = [store.keep_reply(run_id, f"t{n}", 0, {"messages": [TEXT]}, reply(n)) for n in range(begin, begin + count)]
    tests = [TestResult(f"t{n}", f"t{n}", "right", model=f"lab/m{n % MODELS}") for n in range(begin, begin + count)]
    for each in [*kept, *(store.order_result(run_id, test) for test in tests)]:
        each.result()


def run(run_id: str, started_at: str) -> Run:
    """Its header."""
    return Run(run_id, started_at, None, None, Host("cpu", "arch", "os", "python"), {}, {})


def timed(look: Callable[[], View]) -> tuple[float, View]:
    """Seconds of a look, with writing it down."""
    began = time.perf_counter()
    view = look()
    exposed(view.figures)
    return time.perf_counter() - began, view


def main() -> int:
    """Fill, look, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=100_000)
    replies = parser.parse_args().replies
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.db"
        with Store.open(path) as store:
            store.ensure_run(run("run-1", "2026-01-01T00:00:00+00:00"))
            for begin in range(0, replies, 5_000):
                fill(store, "run-1", begin, min(5_000, replies - begin))
        print(f"{replies:,} replies, {path.stat().st_size / 2**20:,.0f} MiB")
        onlooker = Onlooker(Watched(path))
        first_s, view = timed(onlooker.look)
        print(f"first look         {first_s:8.3f} s   ({replies / first_s:,.0f} replies/s)")
        quiet = [timed(onlooker.look)[0] for _ in range(LOOKS)]
        print(f"nothing new        {statistics.median(quiet):8.4f} s   (slowest of {LOOKS}: {max(quiet):.4f} s)")
        busy: list[float] = []
        with Store.open(path) as store:
            for n in range(LOOKS):
                fill(store, "run-1", replies + 100 * n, 100)
                busy.append(timed(onlooker.look)[0])
            store.ensure_run(run("run-2", "2026-01-02T00:00:00+00:00"))
            fill(store, "run-2", 0, 1000)
        print(f"100 more           {statistics.median(busy):8.4f} s   (slowest of {LOOKS}: {max(busy):.4f} s)")
        fresh_s, _ = timed(Onlooker(Watched(path)).look)
        print(f"1,000 behind them  {fresh_s:8.4f} s   (first look at a later run)")
        print(f"an answer has {len(exposed(view.figures)):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
