"""Our client's figures against the server's own, request by request: a real model on the embedded llama.cpp engine.

Decode speed: the client's 1 / `tpot_s` against (n - 1) / predicted_ms, recomputed from the server's timings.

Prompt speed: prompt tokens / (`ttft_s` - overhead) against prompt_n / prompt_ms. The overhead is what a time to first
token holds beside the prompt (queue, tokenizing, templating, HTTP, our client). It is measured on *other* requests of
the same run, short ones that take turns with the long ones: the median of their `ttft_s` - prompt_ms. So nothing that
the server says about a long request enters the client's figure for it.

One user, one thread, fresh prefixes, prompt cache off and checked (`cache_n` = 0), a fixed number of output tokens.
Exit status 1 where a median ratio is not within 5 %, or the median overhead is over 1 ms; the latter needs a machine
that does nothing else.

    python benchmarks/client_vs_server.py [--requests 12] [--tokens 64] [--words 150]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_llmbench import clock, config, http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.records import Reply, ServerSpec
from pytest_llmbench.secret import Secret
from pytest_llmbench.servers import embedded

MODEL = "smollm2-135m:Q4_1"
DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)
TOLERANCE = 0.05
OVERHEAD_S = 0.001
"""On a quiet machine."""
LOAD_TIMEOUT_S = 60


def main() -> int:
    """Run it, print a line per request and the medians; the exit status says whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--words", type=int, default=150, help="length of the long prompts")
    options = parser.parse_args()
    long, short = [], []
    with server() as endpoint:
        model = Model(MODEL, endpoint=lambda: endpoint, deadlines=DEADLINES)
        ask(model, words=options.words, tokens=options.tokens)  # the warm-up, thrown away
        for _ in range(options.requests):
            short.append(ask(model, words=1, tokens=1))
            long.append(ask(model, words=options.words, tokens=options.tokens))
    overheads_s = [call_metrics(reply.timing, reply.usage)["overhead_s"] for reply in short]
    overhead_s = statistics.median(overheads_s)
    near = overhead_s <= OVERHEAD_S
    told = f"median {overhead_s * 1000:.2f} ms, max {max(overheads_s) * 1000:.2f} ms"
    print(f"overhead on {len(short)} short requests: {told}: {'within' if near else 'NOT within'} 1 ms")
    decode = compare("decode tok/s", [decode_tps(reply) for reply in long])
    prompt = compare("prompt tok/s", [prompt_tps(reply, overhead_s) for reply in long])
    return int(not (near and decode and prompt))


def ask(model: Model, *, words: int, tokens: int) -> Reply:
    """One request with a prompt nobody has seen before, and a fixed number of output tokens."""
    prompt = f"{secrets.token_hex(4)} " + " ".join(random.choices(("river", "stone", "cloud", "lamp"), k=words))
    reply = model.ask(prompt, max_tokens=tokens, ignore_eos=True, cache_prompt=False)
    assert reply.timing.server["cache_n"] == 0, "a cached prompt would make the prompt speed a fiction"
    assert reply.usage.completion_tokens == tokens
    return reply


def decode_tps(reply: Reply) -> tuple[float, float]:
    """The client's figure and the server's."""
    told = reply.timing.server
    return call_metrics(reply.timing, reply.usage)["decode_tps"], (told["predicted_n"] - 1) / told[
        "predicted_ms"
    ] * 1000


def prompt_tps(reply: Reply, overhead_s: float) -> tuple[float, float]:
    """The client's figure and the server's."""
    told, tokens, ttft_s = reply.timing.server, reply.usage.prompt_tokens, reply.timing.ttft_s
    assert tokens is not None
    assert ttft_s is not None
    return tokens / (ttft_s - overhead_s), told["prompt_n"] / told["prompt_ms"] * 1000


def compare(what: str, pairs: list[tuple[float, float]]) -> bool:
    """Print pairs, ratios and their median; returns whether that is within the tolerance."""
    print(f"\n{what:>14} {'client':>9} {'server':>9} {'ratio':>8}")
    for client, told in pairs:
        print(f"{'':>14} {client:9.2f} {told:9.2f} {client / told:8.4f}")
    ratios = [client / told for client, told in pairs]
    ratio = statistics.median(ratios)
    agrees = abs(ratio - 1) <= TOLERANCE
    verdict = "within" if agrees else "NOT within"
    print(f"median ratio {ratio:.4f} (from {min(ratios):.4f} to {max(ratios):.4f}): {verdict} {TOLERANCE:.0%}")
    return agrees


@contextmanager
def server() -> Iterator[Endpoint]:
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
                yield Endpoint(base_url=address_in(log, process), api_key=Secret(key), model_id=MODEL, name=MODEL)
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
