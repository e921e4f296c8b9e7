"""Our figures against llama-bench's: the same GGUF, build, threads and token counts, taking turns in one run.

In each block llama-bench and a fresh llama-server are run in the order A B B A. llama-bench times a prompt of n random
tokens, and m single steps behind n tokens; the server answers requests of n prompt tokens (counted by its tokenizer)
and m tokens, asked by our client as a measurement asks. Compared are the medians of blocks, with a 95 % bootstrap
interval of their ratio.

The gap of decoding is taken apart: what sampling costs (the same requests with a chain of one sampler), what the server
does besides (slots, detokenizing, sending), and what our client sees later than the server did.

    python benchmarks/against_llama_bench.py --llama-server PATH [--llama-bench PATH] [--blocks 6] [GGUF]

Exit status 1 where prompt speed is not within 2 % or decode speed not within 6 %; that needs a machine that does
nothing else. Without a llama-server there is nothing to compare with: it says so and ends with 0.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from load.real_server import MODEL, serving, small_model

from pytest_llmbench import http
from pytest_llmbench.clients import Endpoint, Model
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.records import ModelFile, Reply, ServerSpec
from pytest_llmbench.servers import llama
from pytest_llmbench.stats import ratio_interval

PROMPT_WORDS, TOKENS, PER_TURN = 200, 64, 4
DEADLINES = http.Deadlines(connect_s=10, ttft_s=300, idle_s=60, total_s=600)
PROMPT_TOLERANCE, DECODE_TOLERANCE = 0.02, 0.06
ONE_SAMPLER = {"samplers": ["top_k"], "top_k": 1}

Figures = dict[str, list[float]]
"""What was measured → its values in one block."""


def main() -> int:
    """Run the blocks, print ratios and the parts of the gap; the exit status says whether they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, metavar="GGUF", help="default: SmolLM2-135M Q4_1")
    parser.add_argument("--llama-server", type=Path)
    parser.add_argument("--llama-bench", type=Path, help="default: beside the server")
    parser.add_argument("--blocks", type=int, default=6, help="fewer have no interval")
    options = parser.parse_args()
    found = options.llama_server or shutil.which("llama-server")
    if not found:
        print("no llama-server on PATH and none named: nothing to compare with")
        return 0
    server, bench = Path(found), options.llama_bench or Path(found).with_name("llama-bench")
    spec = ServerSpec(model_file(options.file), context=2048, threads=1)
    print(f"{spec.model.name}, 1 thread, {PROMPT_WORDS} words of prompt, {TOKENS} tokens, {options.blocks} blocks")
    blocks = [block(spec, server, bench) for _ in range(options.blocks)]
    return report(blocks)


def model_file(given: Path | None) -> ModelFile:
    """The file to compare on."""
    if given:
        return ModelFile(given.stem, str(given), "", given.stat().st_size, "")
    return small_model()


def block(spec: ServerSpec, server: Path, bench: Path) -> Figures:
    """llama-bench, a server twice, llama-bench: drifts of the machine weigh on both alike."""
    found: Figures = defaultdict(list)
    with serving(llama.arguments(server, spec)) as (endpoint, _):
        prompt_tokens = LlamaApi(lambda: endpoint, DEADLINES).chat_tokens([{"role": "user", "content": prompt()}])
    llama_bench(spec, bench, prompt_tokens, found)
    for _ in range(2):
        with serving(llama.arguments(server, spec)) as (endpoint, _):
            ours(endpoint, found)
    llama_bench(spec, bench, prompt_tokens, found)
    return found


def llama_bench(spec: ServerSpec, bench: Path, prompt_tokens: int, found: Figures) -> None:
    """Prompt speed, and decode speed behind such a prompt, by llama-bench."""
    common = [
        str(bench),
        "-m",
        spec.model.path,
        "-t",
        str(spec.threads),
        "-ngl",
        "0",
        "-r",
        str(PER_TURN),
        "-o",
        "json",
    ]
    for name, sizes in (
        ("bench prompt", ["-p", str(prompt_tokens), "-n", "0"]),
        ("bench decode", ["-p", "0", "-n", str(TOKENS), "-d", str(prompt_tokens)]),
    ):
        done = subprocess.run([*common, *sizes], capture_output=True, text=True, check=True)
        found[name] += [float(value) for value in json.loads(done.stdout)[0]["samples_ts"]]


def ours(endpoint: Endpoint, found: Figures) -> None:
    """The same by our client, and by the server's own clock."""
    model = Model(MODEL, endpoint=lambda: endpoint, deadlines=DEADLINES)
    ask(model)  # the warm-up, thrown away
    for _ in range(PER_TURN):
        whole, bare = ask(model), ask(model, **ONE_SAMPLER)
        metrics = call_metrics(whole.timing, whole.usage)
        found["our prompt"].append(metrics["prompt_tps"])
        found["our decode"].append(metrics["decode_tps"])
        found["server decode"].append(server_tps(whole))
        found["one sampler"].append(server_tps(bare))


def ask(model: Model, **fields: object) -> Reply:
    reply = model.ask(prompt(), max_tokens=TOKENS, ignore_eos=True, cache_prompt=False, **fields)
    assert reply.timing.server["cache_n"] == 0, "a cached prompt would make the prompt speed a fiction"
    assert reply.usage.completion_tokens == TOKENS
    return reply


def prompt() -> str:
    """One that nobody has seen before."""
    words = random.choices(("river", "stone", "cloud", "lamp"), k=PROMPT_WORDS)
    return f"{secrets.token_hex(4)} " + " ".join(words)


def server_tps(reply: Reply) -> float:
    told = reply.timing.server
    return (told["predicted_n"] - 1) / told["predicted_ms"] * 1000


def report(blocks: list[Figures]) -> int:
    """Ratios and parts; the exit status."""
    medians = {name: [statistics.median(each[name]) for each in blocks] for name in blocks[0]}
    held = True
    for what, mine, theirs, tolerance in (
        ("prompt", "our prompt", "bench prompt", PROMPT_TOLERANCE),
        ("decode", "our decode", "bench decode", DECODE_TOLERANCE),
    ):
        ratio = statistics.median(medians[mine]) / statistics.median(medians[theirs])
        bounds = ratio_interval(medians[mine], medians[theirs])
        near = abs(ratio - 1) <= tolerance
        held = held and near
        print(
            f"{what:8} ours {statistics.median(medians[mine]):7.1f} tok/s   llama-bench "
            f"{statistics.median(medians[theirs]):7.1f} tok/s   ratio {ratio:.3f} (95 % {bounds.low:.3f} to "
            f"{bounds.high:.3f}): {'within' if near else 'NOT within'} {tolerance:.0%}"
        )
    explain({name: 1000 / statistics.median(values) for name, values in medians.items()})
    return int(not held)


def explain(ms: dict[str, float]) -> None:
    """The gap of a decoded token, in parts that add up."""
    print(f"\na token takes llama-bench {ms['bench decode']:.3f} ms, us {ms['our decode']:.3f} ms; the difference is")
    for part, value in (
        ("sampling from the whole vocabulary", ms["server decode"] - ms["one sampler"]),
        ("slots, detokenizing, sending", ms["one sampler"] - ms["bench decode"]),
        ("HTTP and our client", ms["our decode"] - ms["server decode"]),
    ):
        print(f"  {part:38} {value:+.3f} ms")


if __name__ == "__main__":
    sys.exit(main())
