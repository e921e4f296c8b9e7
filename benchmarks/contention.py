"""What busy neighbours do to a server with as many threads as cores: speed, CPU time a token, and what we notice.

The embedded engine with one thread and with as many as there are cores, alone and beside busy loops, in turns. A row a
request: tokens a second, CPU time a token, the shares of the time that the server's threads computed and were ready
without a core, the longest gap between tokens in ms, what `ForeignMeter` read, and whether we advise and notice.

    python benchmarks/contention.py [--tokens 24] [--requests 3] [--busy 0 1 2]
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from load.real_server import MODEL, embedded_server

from pytest_llmbench import clock, http
from pytest_llmbench.clients import Model
from pytest_llmbench.monitor import ForeignMeter, ProcessMeter, advise, collapsed, foreign, usable_cores
from pytest_llmbench.records import Reply
from pytest_llmbench.servers import container

DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)
HEAD = "threads busy   tok/s  CPU ms/token computed  waited  max gap  others     PSI advice collapsed"


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    cores = usable_cores(container.limits().cpus)
    print(f"{cores} usable cores, {options.requests} requests of {options.tokens} tokens each\n{HEAD}")
    for threads in sorted({1, cores}):
        with embedded_server(threads) as (endpoint, pid):
            model = Model(MODEL, endpoint=lambda endpoint=endpoint: endpoint, deadlines=DEADLINES)
            ask(model, options.tokens)
            for busy in options.busy:
                with ExitStack() as neighbours:
                    for _ in range(busy):
                        neighbours.enter_context(busy_loop())
                    clock.sleep(0.3)
                    for _ in range(options.requests):
                        show(model, pid, threads=threads, cores=cores, busy=busy, tokens=options.tokens)
    return 0


def show(model: Model, pid: int, *, threads: int, cores: int, busy: int, tokens: int) -> None:
    """Time one request and print its row."""
    meter, others = ProcessMeter(pid), ForeignMeter(lambda: [pid])
    before, before_cpu_s, before_waited_s = others.read(), meter.cpu_s() or 0, meter.waited_s() or 0
    reply = ask(model, tokens)
    cpu_s, waited_s = (meter.cpu_s() or 0) - before_cpu_s, (meter.waited_s() or 0) - before_waited_s
    seen, wall_s, gaps = foreign(before, others.read()), reply.timing.e2e_s or 0, sorted(reply.timing.gaps_s)
    said = collapsed(threads=threads, wall_s=wall_s, server_cpu_s=cpu_s, server_waited_s=waited_s)
    print(
        f"{threads:7} {busy:4} {(tokens - 1) / sum(gaps):7.1f} {cpu_s / tokens * 1000:13.1f} "
        f"{share(cpu_s / wall_s / threads)} {share(waited_s / wall_s / threads)} {gaps[-1] * 1000:7.0f} "
        f"{share(seen.cpu_share)} {share(seen.psi_cpu_some)} {'yes' if advise(threads, cores, seen) else '-':>6} "
        f"{'yes' if said else '-':>9}",
        flush=True,
    )


def share(value: float | None) -> str:
    """A share in percent, seven characters wide."""
    return "      -" if value is None else f"{value:7.0%}"


def ask(model: Model, tokens: int) -> Reply:
    """One request with a prompt nobody has seen before, and a fixed number of output tokens."""
    return model.ask(f"{secrets.token_hex(4)} river", max_tokens=tokens, ignore_eos=True, cache_prompt=False)


@contextmanager
def busy_loop() -> Iterator[None]:
    """A program that computes all the time."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
