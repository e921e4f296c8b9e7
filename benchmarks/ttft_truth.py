"""Does our client tell the truth? Its TTFT and TPOT against the log of a scripted server that says when it sent what.

The server runs in a process of its own. Per request both sides give a duration from one monotonic clock each:
the client's `ttft_s` (request written → first event with text) and the server's (request read → that event handed to
the socket). Their difference is what the network stack and our client add. One user, one request after the other.

`--heap` and `--freeze` answer whether Python's garbage collector bends the figures: it does not, with a million live
objects or none, so the client leaves it alone.

    python benchmarks/ttft_truth.py [--requests 200] [--tokens 50] [--ttft-ms 20] [--itl-ms 5] [--heap N] [--freeze]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.records import Reply, Series

DEADLINES = http.Deadlines(connect_s=10, ttft_s=30, idle_s=30, total_s=60)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--ttft-ms", type=float, default=20)
    parser.add_argument("--itl-ms", type=float, default=5)
    parser.add_argument("--heap", type=int, default=0, help="also keep this many objects alive, as a big session does")
    parser.add_argument("--freeze", action="store_true", help="garbage collector frozen and off")
    options = parser.parse_args()
    ballast = [{"row": [index]} for index in range(options.heap)]
    if options.freeze:
        gc.freeze()
        gc.disable()
    with provider(options.tokens, options.ttft_ms, options.itl_ms) as url:
        ask = Model("demo", endpoint=lambda: Endpoint(base_url=url, model_id="demo", name="demo"), deadlines=DEADLINES)
        replies = [ask.ask(f"question {index}") for index in range(options.requests + 1)]
        log = json.loads(http.run(http.fetch(http.Request("GET", url + "/demo/log"), DEADLINES)).body)
    first, *rest = [errors(reply, call, options.tokens) for reply, call in zip(replies, log, strict=True)]
    print(f"{options.requests} requests of {options.tokens} tokens, one user, {len(ballast)} objects of ballast")
    print(f"TTFT error of the very first request: {first[0]:.2f} ms")
    show("TTFT error", "ms", [error for error, _ in rest])
    show("TPOT error", "%", [error for _, error in rest])


@contextlib.contextmanager
def provider(tokens: int, ttft_ms: float, itl_ms: float) -> Iterator[str]:
    """The demo provider in its own process; yields its address."""
    timing = ["--tokens", str(tokens), "--ttft-s", str(ttft_ms / 1000), "--itl-s", str(itl_ms / 1000)]
    command = [sys.executable, "-m", "pytest_llmbench.demo", *timing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def errors(reply: Reply, call: dict[str, Any], tokens: int) -> tuple[float, float]:
    """The client's TTFT minus the server's in ms, and its TPOT against the server's in per cent."""
    sent = [piece["at"] for piece in call["sent"] if piece["kind"] == "content"]
    measured = call_metrics(reply.timing, reply.usage)
    true_tpot_s = (sent[-1] - sent[0]) / (tokens - 1)
    true_ttft_s = sent[0] - call["received_at"]
    return (measured["ttft_s"] - true_ttft_s) * 1000, (measured["tpot_s"] / true_tpot_s - 1) * 100


def show(what: str, unit: str, values: list[float]) -> None:
    """One line of figures."""
    series = Series(what, unit, tuple(values))
    size = Series(what, unit, tuple(abs(value) for value in values))
    print(
        f"{what}: median {series.median:+.3f} {unit}; absolute p50 {size.p50:.3f}, p95 {size.p95:.3f}, "
        f"p99 {size.p99:.3f}, max {size.max:.3f} {unit} (n={series.n})"
    )


if __name__ == "__main__":
    main()
