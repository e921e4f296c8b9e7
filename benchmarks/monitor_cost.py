"""What the system monitor costs: CPU time of its thread and of a look at the others, beside a real server.

The embedded engine answers one request after the other while the monitor samples it; its thread's CPU time is set
against the wall time. Then every source by itself, the unshared memory (which is read seldom for that reason), and one
reading of `ForeignMeter`, which is taken twice for each timed request.

    python benchmarks/monitor_cost.py [--seconds 20]

Exit status 1 where the monitor at one sample a second takes more than 0.2 % of a core.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_llmbench import clock, config, http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.monitor import ForeignMeter, Monitor, ProcessMeter
from pytest_llmbench.monitor.sampler import all_sources
from pytest_llmbench.records import MonitorSample, ServerSpec
from pytest_llmbench.secret import Secret
from pytest_llmbench.servers import embedded

MODEL = "smollm2-135m:Q4_1"
DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)
LOAD_TIMEOUT_S = 60
BUDGET = 0.002
"""Of a core, at one sample a second."""


def main() -> int:
    """Print the costs; the exit status says whether the monitor is within its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    with server() as (endpoint, pid):
        model = Model(MODEL, endpoint=lambda: endpoint, deadlines=DEADLINES)
        share = beside(model, pid, seconds)
        for source in all_sources(lambda: pid):
            cost_s = each_s(lambda source=source: source.read(clock.monotonic()))
            print(f"  {type(source).__name__:16} {cost_s * 1000:7.3f} ms")
        meter, others = ProcessMeter(pid), ForeignMeter(lambda: [pid])
        print(f"unshared memory of {(meter.rss_bytes() or 0) / 1e6:.0f} MB: {each_s(meter.uss_bytes) * 1000:.2f} ms")
        print(f"one reading of ForeignMeter: {each_s(others.read) * 1000:.3f} ms")
    return int(share > BUDGET)


def beside(model: Model, pid: int, seconds: float) -> float:
    """The share of a core that the monitor takes while the model is asked for so long."""
    kept: list[MonitorSample] = []
    begun_at = clock.monotonic()
    with Monitor(lambda: pid, keep=kept.append, begun_at=begun_at) as monitor:
        while clock.monotonic() - begun_at < seconds:
            model.ask(f"{secrets.token_hex(4)} river", max_tokens=32, ignore_eos=True, cache_prompt=False)
    share = monitor.own_cpu_s / (clock.monotonic() - begun_at)
    verdict = "within" if share <= BUDGET else "NOT within"
    print(f"{len(kept)} samples in {seconds:g} s, {monitor.own_cpu_s / len(kept) * 1000:.2f} ms each: ", end="")
    print(f"{share:.3%} of a core, {verdict} {BUDGET:.1%}")
    return share


def each_s(read: Callable[[], object], times: int = 30) -> float:
    """CPU seconds of one call."""
    begun_s = clock.thread_cpu_s()
    for _ in range(times):
        read()
    return (clock.thread_cpu_s() - begun_s) / times


@contextmanager
def server() -> Iterator[tuple[Endpoint, int]]:
    """The embedded engine in a plain process of its own."""
    folder = Path(os.environ.get("LLMBENCH_MODELS_DIR") or default_folder())
    store = ModelStore(folder, config.load(None).models, offline=False)
    command = embedded.arguments(ServerSpec(store.ensure(MODEL), context=2048, threads=1))
    key = secrets.token_hex(16)
    environment = {**os.environ, "LLAMA_API_KEY": key}
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "server.log")
        with log.open("wb") as output, subprocess.Popen(command, stderr=output, env=environment) as process:
            try:
                address = address_in(log, process)
                yield Endpoint(base_url=address, api_key=Secret(key), model_id=MODEL, name=MODEL), process.pid
            finally:
                process.kill()


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server listens, from its log: it lets the system choose the port."""
    begun_at = clock.monotonic()
    while process.poll() is None and clock.monotonic() - begun_at < LOAD_TIMEOUT_S:
        if found := re.search(r"listening on (http://[\d.]+:\d+)\D", log.read_text(errors="replace")):
            return found[1]
        clock.sleep(0.05)
    raise SystemExit(f"the embedded server did not start:\n{log.read_text(errors='replace')}")


if __name__ == "__main__":
    sys.exit(main())
