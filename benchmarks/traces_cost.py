"""What a whole run costs with traces, where the collector is dead: nobody listens there, or somebody who never answers.

Runs pytest with questions to the demo provider, by turns without traces and with each kind of dead collector; prints
medians of the time from start to end, and their ratio to that without. The end of a run may wait 1.5 s for a collector
that does not answer, and 0.3 s for one that refused the last batch; all else is what traces cost while tests run.

    python benchmarks/traces_cost.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITE = """
import pytest

@pytest.mark.models("demo/facts")
@pytest.mark.dataset("questions.jsonl", max_tokens=20)
def test_answer(reply):
    assert reply.text
"""
OFF, NOBODY, SILENT = "no traces", "nobody listens", "never answers"


@contextmanager
def silent() -> Iterator[int]:
    """Accepts every connection and says nothing; gives its port."""
    held: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for each in held:
            each.close()


def seconds_of_a_run(folder: Path, workers: int, port: int | None) -> tuple[float, float]:
    """From start to end, and of processor time; `port` of the collector, None: without traces."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
    environment = dict(os.environ)
    if port is not None:
        command.append("--llmbench-traces=true")
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    began, used_s = time.perf_counter(), _cpu_s()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0 or (port is not None) != ("spans did not reach" in done.stdout + done.stderr):
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - began, _cpu_s() - used_s


def _cpu_s() -> float:
    """Of all children that have ended, and of theirs: under xdist not of the process that asks APIs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(workers: int, taken: dict[str, list[tuple[float, float]]]) -> None:
    """Medians, from the least to the most, and how often as much as without traces."""
    usual_s, usual_cpu_s = (statistics.median(column) for column in zip(*taken[OFF], strict=True))
    for kind, several in taken.items():
        wall, cpu = zip(*several, strict=True)
        wall_s, cpu_s = statistics.median(wall), statistics.median(cpu)
        told = f"{wall_s:.2f} s ({min(wall):.2f} to {max(wall):.2f})  x {wall_s / usual_s:.3f}"
        print(f"-n {workers}  {kind:<14}  {told}; CPU {cpu_s:.2f} s  x {cpu_s / usual_cpu_s:.3f}", flush=True)


def main() -> int:
    """Run by turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, silent() as silent_port:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_it.py").write_text(SUITE)
        asked = ({"id": f"q{n}", "input": f"What is {n} + 3?"} for n in range(chosen.questions))
        (folder / "questions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
        ports = {OFF: None, NOBODY: 9, SILENT: silent_port}
        for workers in chosen.workers:
            seconds_of_a_run(folder, workers, None)  # its first imports are nobody's
            taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ports}
            for _ in range(chosen.rounds):
                for kind, port in ports.items():
                    taken[kind].append(seconds_of_a_run(folder, workers, port))
            show(workers, taken)
    return 0


if __name__ == "__main__":
    sys.exit(main())
