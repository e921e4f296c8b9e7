"""Our client's figures against the server's own, request by request: a real model on the embedded llama.cpp engine.

Decode speed: the client's 1 / `tpot_s` against (n - 1) / predicted_ms, recomputed from the server's timings.

Prompt speed: prompt tokens / (`ttft_s` - overhead) against prompt_n / prompt_ms. The overhead is what a time to first
token holds beside the prompt (queue, tokenizing, templating, HTTP, our client). It is measured on *other* requests of
the same run, short ones that take turns with the long ones: the median of their `ttft_s` - prompt_ms. So nothing that
the server says about a long request enters the client's figure for it.

Whose the overhead is, a raw reader tells that takes turns with them: a blocking socket that sends the same request and
looks for the first text in what it receives, nothing else. What it needs is the engine's (template, tokenizer, first
sampling); what we need beyond it is ours. `/completion` without a chat's template is asked as well.

One user, one thread, fresh prefixes, prompt cache off and checked (`cache_n` = 0), a fixed number of output tokens.
Exit status 1 where a median ratio is not within 5 %, or our part of the overhead is over 0.2 ms; the latter needs a
machine that does nothing else.

    python benchmarks/client_vs_server.py [--requests 12] [--tokens 64] [--words 150]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import secrets
import socket
import statistics
import sys
from urllib.parse import urlsplit

from load.real_server import MODEL, embedded_server

from pytest_llmbench import clock, http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.records import Reply

DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)
TOLERANCE = 0.05
OUR_OVERHEAD_S = 0.0002
"""Beyond a raw reader's, on a quiet machine."""
_FIRST_TEXT = re.compile(rb'"content":"[^"]')
_PROMPT_MS = re.compile(rb'"prompt_ms":([\d.]+)')


def main() -> int:
    """Run it, print a line per request and the medians; the exit status says whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--words", type=int, default=150, help="length of the long prompts")
    options = parser.parse_args()
    long, ours_s, raw_s, plain_s = [], [], [], []
    with embedded_server() as (endpoint, _):
        model = Model(MODEL, endpoint=lambda: endpoint, deadlines=DEADLINES)
        ask(model, words=options.words, tokens=options.tokens)  # the warm-up, thrown away
        for _ in range(options.requests):
            short = ask(model, words=1, tokens=1)
            ours_s.append(call_metrics(short.timing, short.usage)["overhead_s"])
            raw_s.append(raw_overhead_s(endpoint, "/v1/chat/completions"))
            plain_s.append(raw_overhead_s(endpoint, "/completion"))
            long.append(ask(model, words=options.words, tokens=options.tokens))
    overhead_s = statistics.median(ours_s)
    near = told_overheads(ours_s, raw_s, plain_s)
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


def raw_overhead_s(endpoint: Endpoint, path: str) -> float:
    """First text − `prompt_ms` of one short request, as a blocking socket sees it."""
    prompt = f"{secrets.token_hex(4)} river"
    fields = {"messages": [{"role": "user", "content": prompt}]} if "chat" in path else {"prompt": prompt}
    fields |= {"max_tokens": 1, "n_predict": 1, "stream": True, "ignore_eos": True, "cache_prompt": False}
    body, where = json.dumps(fields).encode(), urlsplit(endpoint.base_url)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {endpoint.api_key.reveal()}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    received, first_at = b"", None
    with socket.create_connection((where.hostname, where.port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun_at = clock.monotonic()
        line.sendall(head.encode() + body)
        while data := line.recv(65536):
            arrived_at = clock.monotonic()
            received += data
            if first_at is None and _FIRST_TEXT.search(received):
                first_at = arrived_at
    told = _PROMPT_MS.search(received)
    assert told is not None, received
    assert first_at is not None, received
    return first_at - begun_at - float(told[1]) / 1000


def told_overheads(ours_s: list[float], raw_s: list[float], plain_s: list[float]) -> bool:
    """Print whose the overhead is; returns whether our part is within its limit."""
    print(f"overhead of {len(ours_s)} short requests (time to first token − prompt_ms)   median      max")
    rows = (("ours", ours_s), ("raw reader, the same requests", raw_s), ("raw reader, /completion", plain_s))
    for name, values in rows:
        print(f"  {name:64} {statistics.median(values) * 1000:6.2f} ms {max(values) * 1000:6.2f} ms")
    own_s = statistics.median(ours_s) - statistics.median(raw_s)
    near = own_s <= OUR_OVERHEAD_S
    print(f"our part: {own_s * 1000:+.2f} ms: {'within' if near else 'NOT within'} {OUR_OVERHEAD_S * 1000:g} ms")
    return near


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


if __name__ == "__main__":
    sys.exit(main())
