"""What the response cache saves, and what it costs who finds nothing there: replies a second, through the whole asker.

A server in a process of its own answers each question 20 ms after it was read, a hundred of them at once. Per round,
one after another so that their ratios hold on a busy machine too: the questions asked without a cache; with an empty
one, where each is looked up, asked and put; with that one full, where each is found. Keys, look-ups, checksums and the
results database are in all of it, pytest is not. Then the bare cache: look-ups and puts a second of one thread, and
what an entry takes on the disk.

Exit status 1 where a full cache is not faster than asking, or an empty one takes half as long again.

    python benchmarks/response_cache.py [--rounds 5] [--questions 2000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from api_throughput import CONFIG, load, served

from pytest_llmbench import config
from pytest_llmbench.asker.opening import open_local
from pytest_llmbench.asker.question import Question
from pytest_llmbench.bookings import place_hash
from pytest_llmbench.cache.entries import MAX_BYTES, encoded
from pytest_llmbench.cache.opening import looking_up
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.clock import now
from pytest_llmbench.header import new_run
from pytest_llmbench.providers.targets import Providers
from pytest_llmbench.records import Cost, Reply, Usage
from pytest_llmbench.serving import subject_of
from pytest_llmbench.store import Store
from pytest_llmbench.store.cache_file import CacheFile

WITHOUT, EMPTY, FULL = "asked, no cache", "asked, empty cache", "given by a full cache"
SLOWER = 1.5
DELAY_MS = 20
TEXT = "word " * 200


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=2000)
    options = parser.parse_args()
    print(f"{options.questions} questions, {options.rounds} rounds; load {load()}")
    walls_s: dict[str, list[float]] = {WITHOUT: [], EMPTY: [], FULL: []}
    with served(DELAY_MS) as url:
        for number in range(options.rounds + 1):  # the first one warms up
            taken = one_round(url, options.questions)
            for name, wall_s in taken.items() if number else ():
                walls_s[name].append(wall_s)
    ratios = {
        name: [wall / base for wall, base in zip(each, walls_s[WITHOUT], strict=True)] for name, each in walls_s.items()
    }
    for name, each in walls_s.items():
        ratio = statistics.median(ratios[name])
        spread = f"{min(ratios[name]):.2f} to {max(ratios[name]):.2f}"
        rate = options.questions / statistics.median(each)
        print(f"{name:>24} {rate:8.0f} replies/s   {ratio:5.2f} x the time ({spread})")
    bare(options.questions)
    kept = statistics.median(ratios[FULL]) < 1 and statistics.median(ratios[EMPTY]) < SLOWER
    print("kept" if kept else "MISSED")
    return int(not kept)


def one_round(url: str, count: int) -> dict[str, float]:
    """What each of the three took, in seconds, in a fresh project."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "llmbench.yaml").write_text(CONFIG.format(url=url))
        return {
            name: asked(Path(folder), count, cache="off" if name == WITHOUT else "on")
            for name in (WITHOUT, EMPTY, FULL)
        }


def asked(folder: Path, count: int, *, cache: str) -> float:
    """Ask all of them in a run of its own; seconds."""
    resolved = config.resolve({"cache": cache}, os.environ, {}, folder)
    target = Providers(resolved).target("load/load")
    assert target is not None
    questions = []
    for number in range(count):
        request = ChatRequest(target.name, ({"role": "user", "content": f"question {number}"},), max_tokens=50)
        questions.append(Question(target, request, f"test_{number}", place_hash(request, subject_of(target))))
    run_id = f"run-{time.monotonic_ns()}"
    with Store.open(folder / ".llmbench" / "results.db") as store, looking_up(resolved) as held:
        store.ensure_run(new_run(run_id, folder, [], resolved.chosen, {}))
        with closing(open_local(resolved, store, run_id, resuming=False, cache=held)) as asker:
            began = time.perf_counter()
            replies = asker.get_all(questions)
            took_s = time.perf_counter() - began
    assert len(replies) == count
    return took_s


def bare(count: int) -> None:
    """The cache alone: a thousand characters a reply."""
    reply = Reply(TEXT, "load/load", finish_reason="stop", usage=Usage(10, 200), cost=Cost("0.01", "priced"))
    keys = [f"{number:064x}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache" / "cache.db"
        file = CacheFile(path, ttl_s=1e6, max_bytes=2**32, longest_bytes=MAX_BYTES)
        with closing(ResponseCache(file, ttl_s=1e6)) as cache:
            began = time.perf_counter()
            for key in keys:
                cache.put(key, reply)
            assert cache.find(keys[-1]) is not None
            put_s = time.perf_counter() - began
            began = time.perf_counter()
            assert all(cache.find(key) is not None for key in keys)
            found_s = time.perf_counter() - began
        size_bytes = sum(each.stat().st_size for each in path.parent.iterdir())
    value = encoded(keys[0], reply, now())
    assert value is not None
    print(f"bare: {count / put_s:,.0f} puts/s, {count / found_s:,.0f} look-ups/s one after another, ", end="")
    print(f"{size_bytes / count:,.0f} bytes an entry on disk ({len(value):,} of them its value)")


if __name__ == "__main__":
    raise SystemExit(main())
