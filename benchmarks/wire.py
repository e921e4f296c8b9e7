"""The measuring path under load: CPU time a token, error of the time to first token, everyday calls.

A server in a process of its own sends 128 tokens, the first after 200 ms, then one each 10 ms, and logs when it had
read each request and when it sent each first token, on the clock that all processes share. `late` is how long after
the server's sending it the client stamped the first token: the error of its TTFT. `read` is how long after the client's
zero (for ours the request written to the socket, for httpx and aiohttp the call) the server had read the request: the
server's own queue and, for those two, their connecting. CPU time is the client process's alone. Beside ours runs a raw
`asyncio.Protocol` that keeps bytes and parses nothing, on asyncio's loop and on uvloop; and httpx and aiohttp where
they are installed. All take turns in one run, so that their ratios hold on a busy machine too.

Exit status 1 where the best of the rounds misses one of our floors; rounds are repeated because a machine that is busy
for a moment spoils single ones.

    python benchmarks/wire.py [--rounds 2] [--streams 1 64 256] [--only ours/uvloop raw/uvloop]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOAD = Path(__file__).parent / "load"
TOKENS = 128
REQUESTS = {1: 20, 16: 100}
"""For few streams fewer requests, else it takes minutes; 300 for all others."""
CLIENTS = ("raw", "raw/uvloop", "ours", "ours/uvloop", "aiohttp", "aiohttp/uvloop", "httpx", "httpx_aiohttp")
CALLS, IN_FLIGHT = 1000, 100


@dataclass(frozen=True)
class Floor:
    """What our client has to keep, on uvloop."""

    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_s_per_1000: float | None = None


FLOORS = {1: Floor(p50_ms=1, p99_ms=2), 64: Floor(p99_ms=5, cpu_s_per_1000=0.06), 256: Floor(p99_ms=15)}


@dataclass(frozen=True)
class Figures:
    """One client's run."""

    cpu_s_per_1000: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    read_p50_ms: float
    wall_s: float


def main() -> int:
    """Run it and print a table for each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--only", nargs="+", choices=CLIENTS, default=[name for name in CLIENTS if installed(name)])
    parser.add_argument("--no-calls", action="store_true", help="leave out the everyday calls")
    options = parser.parse_args()
    kept = [compare(streams, options.only, options.rounds) for streams in options.streams]
    if not options.no_calls:
        everyday_calls(options.only, options.rounds)
    return int(not all(kept))


def compare(streams: int, clients: list[str], rounds: int) -> bool:
    """One table; returns whether our floors for this number of streams were kept."""
    requests = REQUESTS.get(streams, 300)
    print(f"\n{streams} streams, {requests} requests of {TOKENS} tokens, best of {rounds} rounds; load {load()}")
    figures: dict[str, list[Figures]] = {client: [] for client in clients}
    for _ in range(rounds):
        for client in clients:
            figures[client].append(streamed(client, streams, requests))
    print(f"{'client':>16} CPU s/1000 tokens  x raw   late p50       p99       max  read p50  wall s")
    floor_cpu_s = best(figures[clients[0]]).cpu_s_per_1000
    for client, runs in figures.items():
        one = best(runs)
        print(
            f"{client:>16} {one.cpu_s_per_1000:17.4f} {one.cpu_s_per_1000 / floor_cpu_s:6.2f} {one.p50_ms:7.2f} ms "
            f"{one.p99_ms:6.2f} ms {one.max_ms:6.2f} ms {one.read_p50_ms:6.2f} ms {one.wall_s:7.2f}"
        )
    return "ours/uvloop" not in figures or kept(best(figures["ours/uvloop"]), FLOORS.get(streams, Floor()))


def best(runs: list[Figures]) -> Figures:
    """The least disturbed value of each figure."""
    return Figures(*(min(getattr(run, name) for run in runs) for name in Figures.__dataclass_fields__))


def kept(ours: Figures, floor: Floor) -> bool:
    """Whether `ours` holds what we promise; says where not."""
    missed = [
        f"{name}: {getattr(ours, name):.4g} over {limit}"
        for name, limit in vars(floor).items()
        if limit is not None and getattr(ours, name) > limit
    ]
    for line in missed:
        print(f"MISSED {line}")
    return not missed


def streamed(client: str, streams: int, requests: int) -> Figures:
    """One client against a fresh server."""
    with server() as url:
        measured = run_client(client, url, "--streams", str(streams), "--requests", str(requests))
        with urllib.request.urlopen(url + "/log") as response:
            log: dict[str, dict[str, float]] = json.load(response)
    late_ms = sorted(1000 * (first_at - log[name]["first_at"]) for name, (_, first_at) in measured["times"].items())
    read_ms = [1000 * (log[name]["received_at"] - begun_at) for name, (begun_at, _) in measured["times"].items()]
    return Figures(
        cpu_s_per_1000=measured["cpu_s"] / (requests * TOKENS) * 1000,
        p50_ms=statistics.median(late_ms),
        p99_ms=late_ms[-(-99 * len(late_ms) // 100) - 1],
        max_ms=late_ms[-1],
        read_p50_ms=statistics.median(read_ms),
        wall_s=measured["wall_s"],
    )


def everyday_calls(clients: list[str], rounds: int) -> None:
    """Whole replies, many at once: pools collapse here."""
    ideal_s = CALLS / IN_FLIGHT * 0.2
    print(f"\n{CALLS} whole replies of 200 ms, {IN_FLIGHT} in flight: ideal {ideal_s:.1f} s; best of {rounds}")
    for client in clients:
        walls_s, cpus_s = [], []
        for _ in range(rounds):
            with server() as url:
                run = run_client(client, url, "--streams", str(IN_FLIGHT), "--requests", str(CALLS), "--plain")
            walls_s.append(run["wall_s"])
            cpus_s.append(run["cpu_s"])
        print(f"{client:>16} {min(walls_s):6.2f} s, {1000 * min(cpus_s) / CALLS:.2f} ms of CPU time a call")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The load server; yields its address."""
    command = [sys.executable, str(LOAD / "server.py"), "--tokens", str(TOKENS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def run_client(client: str, url: str, *options: str) -> dict[str, Any]:
    """What one client measured."""
    name, _, loop = client.partition("/")
    command = [sys.executable, str(LOAD / "clients.py"), name, url, *options, *([f"--{loop}"] if loop else [])]
    measured: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return measured


def installed(client: str) -> bool:
    """Whether what the client needs is there."""
    name, _, loop = client.partition("/")
    return all(importlib.util.find_spec(each) for each in (name, loop) if each not in {"", "raw", "ours"})


def load() -> str:
    """How busy the machine is."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
