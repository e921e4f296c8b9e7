"""What it takes to read large datasets: seconds, and the most memory beyond that of the program itself.

Each figure comes from a process of its own. `streamed` is what a use case does: one sample in memory at a time.
`collected` is all of `pytest --collect-only` over a test with a `dataset` marker: an item a sample.

    python benchmarks/dataset_reading.py --samples 10000 100000
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

STREAM = """
import resource, sys, time
from pathlib import Path
from pytest_llmbench import datasets
if sys.argv[1].endswith(".parquet"):
    import pyarrow.parquet
columns = datasets.Columns()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
count = sum(1 for _ in datasets.stream(Path(sys.argv[1]), columns))
took = time.perf_counter() - begun
print(count, took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
SUITE = """
import pytest

@pytest.mark.models("demo/echo")
@pytest.mark.dataset({name!r})
def test_answer(reply, sample):
    assert reply.text
"""
COLLECT = """
import resource, subprocess, sys, time
begun = time.perf_counter()
done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-qq", *sys.argv[2:]], cwd=sys.argv[1],
                      stdout=subprocess.DEVNULL)
assert done.returncode == 0, done.returncode
print(0, time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
TEXT = "The quick brown fox jumps over the lazy dog. " * 20


def rows(count: int) -> list[dict[str, object]]:
    """A kilobyte each."""
    return [{"id": n, "input": f"{n}: {TEXT}", "expected": str(n), "level": "easy"} for n in range(count)]


def write_jsonl(path: Path, count: int) -> None:
    with path.open("w") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows(count))


def write_csv(path: Path, count: int) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "input", "expected", "level"])
        writer.writeheader()
        writer.writerows(rows(count))


def write_parquet(path: Path, count: int) -> None:
    parquet.write_table(pa.Table.from_pylist(rows(count)), path)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    ".jsonl": write_jsonl,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


def measured(code: str, *arguments: str) -> tuple[float, float]:
    """(seconds, MiB) that a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    _, seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def collected(folder: Path, name: str) -> tuple[float, float]:
    """(seconds, MiB more than with one sample) of pytest's collection of a test over a dataset."""
    (folder / "one.jsonl").write_text(json.dumps(rows(1)[0]) + "\n")
    (folder / "test_one.py").write_text(SUITE.format(name="one.jsonl"))
    (folder / "test_all.py").write_text(SUITE.format(name=name))
    (folder / "pytest.ini").write_text("[pytest]\n")
    _, alone = measured(COLLECT, str(folder), "test_one.py")
    seconds, memory = measured(COLLECT, str(folder), "test_all.py")
    return seconds, memory - alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--kinds", nargs="+", choices=list(WRITERS), default=list(WRITERS))
    parser.add_argument("--collect", action="store_true", help="let pytest collect them, too")
    chosen = parser.parse_args()
    print(f"{'what':<22} {'samples':>8} {'seconds':>8} {'MiB':>8}")
    for kind in chosen.kinds:
        for count in chosen.samples:
            with tempfile.TemporaryDirectory() as place:
                path = Path(place) / f"rows{kind}"
                WRITERS[kind](path, count)
                seconds, memory = measured(STREAM, str(path))
                print(f"{f'{kind} streamed':<22} {count:>8} {seconds:>8.2f} {memory:>8.1f}", flush=True)
                if chosen.collect:
                    seconds, memory = collected(Path(place), path.name)
                    print(f"{f'{kind} collected':<22} {count:>8} {seconds:>8.2f} {memory:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
