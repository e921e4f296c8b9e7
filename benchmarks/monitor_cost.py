"""What the system monitor costs: CPU time of its thread and of a look at the others, beside a real server.

The embedded engine answers one request after the other while the monitor samples it; its thread's CPU time is set
against the wall time. Then every source by itself, the unshared memory (which is read seldom for that reason), and one
reading of `ForeignMeter`, which is taken twice for each timed request.

    python benchmarks/monitor_cost.py [--seconds 20]

Exit status 1 where the monitor at one sample a second takes more than 0.2 % of a core.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable

from load.real_server import MODEL, embedded_server

from pytest_llmbench import clock, http
from pytest_llmbench.clients import Model
from pytest_llmbench.monitor import ForeignMeter, Monitor, ProcessMeter
from pytest_llmbench.monitor.sampler import all_sources
from pytest_llmbench.records import MonitorSample

DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)
BUDGET = 0.002
"""Of a core, at one sample a second."""


def main() -> int:
    """Print the costs; the exit status says whether the monitor is within its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    with embedded_server() as (endpoint, pid):
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


if __name__ == "__main__":
    sys.exit(main())
