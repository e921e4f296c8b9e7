"""How fast a dataset is asked of an API, as pytest items: against the ideal, a bare aiohttp loop, and empty tests.

A server in a process of its own answers each question a set time after it was read. Per round and case, one after
another so that their ratios hold on a busy machine too: an aiohttp loop that keeps nothing; as many empty test
functions, without this plugin; and our run: a test function a sample with a validator, each reply and each result
stored, all reports written; the same as a use case's page; and one test that asks all. Times are of whole processes,
from start to exit, with byte code cached and no other plugins. With `--workers` the same under xdist, where the floor
is the one process's, with what xdist costs for as many empty tests, and 10 % more. Memory is the peak resident size of
our process, and its growth from the smallest to the largest number of samples.

Exit status 1 where the median of the rounds misses a floor.

    python benchmarks/api_throughput.py [--rounds 3] [--workers 4] [--memory 1000 10000 50000]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOAD = Path(__file__).parent / "load"
IN_FLIGHT = 100
BYTE_CODE = Path(tempfile.gettempdir()) / f"llmbench-throughput-byte-code-{os.getuid()}"
GROWTH_FLOOR_BYTES = 20_000

CONFIG = """\
providers:
  load:
    url: {url}
    format: openai
    limits: {{concurrency: 100}}
    models:
      load:
        price: {{input: "1", output: "4"}}
"""
SUITE = """\
import pytest
from pytest_llmbench.validators import check

pytestmark = pytest.mark.models("load/load")

@pytest.mark.dataset("samples.jsonl", stream={stream})
def test_the_answer_is_right(reply, sample):
    assert check("text", reply.text, sample.expected).correct
"""
WHOLE_SUITE = """\
import pytest
from pytest_llmbench.validators import check

@pytest.mark.models("load/load")
@pytest.mark.dataset("samples.jsonl", stream={stream})
def test_all_answers_are_right(model, dataset):
    replies = model.ask_all(dataset)
    assert all(check("text", reply.text, sample.expected).correct for reply, sample in zip(replies, dataset))
"""
PAGE = """\
---
models: [load/load]
data: samples.jsonl
prompt: {{system: ""}}
request: {{stream: {stream}}}
validators: [exact]
---
# Capitals
"""
PAGE_FLOOR_S = 6.0
"""For 5,000 declared samples of 20 ms."""
EMPTY_SUITE = """\
import pytest

@pytest.mark.parametrize("number", range({samples}))
def test_nothing(number):
    assert number >= 0
"""


@dataclass(frozen=True)
class Case:
    """A dataset and how long an answer takes."""

    samples: int
    delay_ms: float
    floor_s: float

    @property
    def ideal_s(self) -> float:
        return self.samples / IN_FLIGHT * self.delay_ms / 1000


CASES = (Case(1000, 200, 3.5), Case(5000, 20, 8.0))


@dataclass(frozen=True)
class Ran:
    """One process, from start to exit."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


def main() -> int:
    """Run it and print a table a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4, help="0 leaves xdist out")
    parser.add_argument("--memory", type=int, nargs="*", default=[1000, 10_000, 50_000], metavar="SAMPLES")
    parser.add_argument("--stream", action="store_true", help="streamed replies")
    options = parser.parse_args()
    kept = [compare(case, options.rounds, options.workers, stream=options.stream) for case in CASES]
    if options.memory:
        kept.append(memory(options.memory, stream=options.stream))
    return int(not all(kept))


def compare(case: Case, rounds: int, workers: int, *, stream: bool) -> bool:
    """One table; returns whether the floors were kept."""
    print(f"\n{case.samples} samples x {case.delay_ms:g} ms, {IN_FLIGHT} in flight; {rounds} rounds; load {load()}")
    walls_s: dict[str, list[float]] = {}
    with served(case.delay_ms) as url:
        ours(10, url, SUITE, stream=stream)  # so that byte code is there
        for _ in range(rounds):
            for name, wall_s in one_round(case, url, workers, stream=stream):
                walls_s.setdefault(name, []).append(wall_s)
    medians_s = {"ideal": case.ideal_s} | {name: statistics.median(each) for name, each in walls_s.items()}
    floors_s = floors(case, medians_s)
    for name, median_s in medians_s.items():
        spread = f"{min(walls_s[name]):6.2f} to {max(walls_s[name]):5.2f}" if name in walls_s else " " * 15
        floor = f"   floor {floors_s[name]:.2f} s" if name in floors_s else ""
        print(f"{name:>28} {median_s:6.2f} s {spread} {median_s / case.ideal_s:6.2f} x ideal{floor}")
    missed = [name for name, floor_s in floors_s.items() if medians_s[name] > floor_s]
    for name in missed:
        print(f"MISSED {name}: {medians_s[name]:.2f} s, not {floors_s[name]:.2f} s")
    return not missed


def one_round(case: Case, url: str, workers: int, *, stream: bool) -> Iterator[tuple[str, float]]:
    """What each of them took, in seconds."""
    asked = ["--requests", str(case.samples), "--in-flight", str(IN_FLIGHT)]
    bare = subprocess.run([sys.executable, str(LOAD / "bare.py"), url, *asked], stdout=subprocess.PIPE, check=True)
    yield "bare aiohttp, its loop alone", float(bare.stdout)
    yield "empty tests", empty_tests(case.samples).wall_s
    yield "ours", ours(case.samples, url, SUITE, stream=stream).wall_s
    yield "ours, a page", ours(case.samples, url, PAGE, stream=stream).wall_s
    yield "ours, one ask_all", ours(case.samples, url, WHOLE_SUITE, stream=stream).wall_s
    if workers:
        under_xdist = ("-p", "xdist", "-n", str(workers))
        yield f"empty tests -n {workers}", empty_tests(case.samples, *under_xdist).wall_s
        yield f"ours -n {workers}", ours(case.samples, url, SUITE, *under_xdist, stream=stream).wall_s


def floors(case: Case, medians_s: dict[str, float]) -> dict[str, float]:
    """What has to be kept: the case's own, and under xdist what xdist costs besides, and 10 % more."""
    kept = {"ours": case.floor_s, "ours, one ask_all": case.floor_s, "ours, a page": min(case.floor_s, PAGE_FLOOR_S)}
    for name in medians_s:
        if name.startswith("ours -n"):
            xdist_s = medians_s[name.replace("ours", "empty tests")] - medians_s["empty tests"]
            kept[name] = (case.floor_s + max(0.0, xdist_s)) * 1.1
    return kept


def memory(sizes: list[int], *, stream: bool) -> bool:
    """Peak memory and time by number of samples; returns whether the growth stayed below its floor."""
    print(f"\nmemory and time by number of samples, 20 ms each; load {load()}")
    with served(20) as url:
        runs = {samples: ours(samples, url, SUITE, stream=stream) for samples in sizes}
    empty = {samples: empty_tests(samples) for samples in sizes}
    for samples, run in runs.items():
        print(
            f"{samples:>8} samples {run.wall_s:7.2f} s {1000 * run.wall_s / samples:6.2f} ms each "
            f"{run.peak_rss_bytes / 1e6:7.1f} MB   empty tests {empty[samples].wall_s:6.2f} s "
            f"{empty[samples].peak_rss_bytes / 1e6:7.1f} MB"
        )
    least, most = min(sizes), max(sizes)
    if least == most:
        return True
    grown = [(each[most].peak_rss_bytes - each[least].peak_rss_bytes) / (most - least) for each in (runs, empty)]
    print(f"growth a sample: {grown[0] / 1000:.1f} kB, of which empty tests {grown[1] / 1000:.1f} kB")
    if grown[0] > GROWTH_FLOOR_BYTES:
        print(f"MISSED memory: more than {GROWTH_FLOOR_BYTES / 1000:g} kB a sample")
    return grown[0] <= GROWTH_FLOOR_BYTES


def ours(samples: int, url: str, suite: str, *options: str, stream: bool) -> Ran:
    """Our run over a dataset, in a fresh project; each question has to be asked once."""
    with project(suite.format(stream=stream)) as folder:
        (folder / "llmbench.yaml").write_text(CONFIG.format(url=url))
        with (folder / "samples.jsonl").open("w") as rows:
            for number in range(samples):
                question = f"Question {number}: what is the capital of France?"
                rows.write(json.dumps({"id": f"s{number}", "input": question, "expected": "Paris"}) + "\n")
        before = answered(url)
        ran = pytest_run(folder, "-p", "llmbench", "--llmbench-max-concurrency", str(IN_FLIGHT), *options)
        asked = answered(url) - before
        assert asked == samples, f"{asked} questions were asked, not {samples}"
        return ran


def empty_tests(samples: int, *options: str) -> Ran:
    """As many test functions that do nothing, without this plugin."""
    with project(EMPTY_SUITE.format(samples=samples)) as folder:
        return pytest_run(folder, *options)


@contextlib.contextmanager
def project(suite: str) -> Iterator[Path]:
    """A folder with one test file, or one page of a use case."""
    with tempfile.TemporaryDirectory(prefix="llmbench-throughput-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / ("USE-CASE.md" if suite.startswith("---") else "test_throughput.py")).write_text(suite)
        yield folder


def pytest_run(folder: Path, *options: str) -> Ran:
    """One pytest process, which has to pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # Byte code is cached as on any user's machine; other plugins that happen to be installed are left out.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= {"PYTHONPYCACHEPREFIX": str(BYTE_CODE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with (folder / "output.txt").open("wb") as output:
        begun_at = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun_at
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{(folder / 'output.txt').read_text()[-4000:]}")
    return Ran(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def answered(url: str) -> int:
    """How many chats the server has answered."""
    with urllib.request.urlopen(f"{url}/count") as response:
        return int(response.read())


@contextlib.contextmanager
def served(delay_ms: float) -> Iterator[str]:
    """The server; yields its address."""
    command = [sys.executable, str(LOAD / "keeping.py"), "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def load() -> str:
    """How busy the machine is."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
