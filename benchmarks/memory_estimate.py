"""What `servers.memory` estimates against what a server really takes: the peak of its physical memory (`VmHWM`).

Every configuration is a real server in a process of its own: it loads, answers a request in each slot at once, and is
asked what it has taken. A request is somewhat longer than two batches, so that all buffers are used; `--full` fills the
context (the caches are zeroed, and so taken, when a server loads: the difference is below 1 MiB per 1,000 tokens).

`error` is estimate / peak - 1. `calibrated` replaces weights, caches and compute buffer by the server's own figures
(its log at verbosity 4) and adds one constant for each model and engine, the median of what is left.

    python benchmarks/memory_estimate.py [--quick] [--full] [--llama-server PATH] [GGUF ...]

Without files: SmolLM2-135M as Q4_1 and, made from it, Q8_0, Q5_0 and Q4_0, and what of gemma3-270m is in the models
folder. Exit status 1 where an error is above 10 %, or above 5 % once calibrated.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench import clock, config
from pytest_llmbench.models.model_store import ModelStore, default_folder
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.records import ModelFile, ServerSpec
from pytest_llmbench.servers import embedded, engines, llama
from pytest_llmbench.servers.memory import MIB, MemoryEstimate
from pytest_llmbench.servers.memory_learned import breakdown, calibrate

MODEL, OTHER = "smollm2-135m:Q4_1", "gemma3-270m:Q4_K_M"
QUANTIZATIONS = ("Q8_0", "Q5_0", "Q4_0")
CONTEXTS, KV_TYPES, SLOTS = (512, 2048, 4096, 8192), ("f16", "q8_0"), (1, 4)
QUICK = ((512, "f16", 1), (4096, "q8_0", 1), (2048, "f16", 4))
TWO_BATCHES = 1100
LEFT_FREE = 24
TOLERANCE, CALIBRATED_TOLERANCE = 0.10, 0.05
LOAD_TIMEOUT_S, ANSWER_TIMEOUT_S = 120, 1800


@dataclass(frozen=True)
class Row:
    """A configuration, estimated and measured."""

    spec: ServerSpec
    engine: str
    estimate: MemoryEstimate
    calibrated: MemoryEstimate
    peak_bytes: int

    @property
    def error(self) -> float:
        return (self.estimate.total_bytes or 0) / self.peak_bytes - 1


def main() -> int:
    """Measure everything, print a line each as it is known, and the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="GGUF")
    parser.add_argument("--quick", action="store_true", help="three configurations a model")
    parser.add_argument("--full", action="store_true", help="requests that fill the context; slow")
    parser.add_argument("--llama-server", default="", help="measure this binary as well")
    options = parser.parse_args()
    wanted = QUICK if options.quick else tuple(itertools.product(CONTEXTS, KV_TYPES, SLOTS))
    binaries = [None, *([llama.find(options.llama_server)] if options.llama_server else [])]
    print(
        f"{'model':28} {'engine':12} {'ctx':>5} {'KV':>5} {'slots':>5}  weights + KV + compute + base = estimate",
        end="",
    )
    print(f" {'peak MiB':>9} {'error':>7}")
    rows = []
    with tempfile.TemporaryDirectory() as scratch, model_files(options.files, Path(scratch)) as files:
        for file, binary, (context, kv_type, slots) in itertools.product(files, binaries, wanted):
            row = measured(
                ServerSpec(file, context, 1, slots, kv_type=kv_type), binary, Path(scratch), full=options.full
            )
            rows.append(row)
            show(row)
    return summary(rows)


def measured(spec: ServerSpec, binary: Path | None, scratch: Path, *, full: bool) -> Row:
    """Run one server and read what it took."""
    engine = engines.LLAMA_SERVER if binary else engines.EMBEDDED
    expected = engines.estimate(spec, engine)
    tokens = spec.context - LEFT_FREE if full else min(spec.context - LEFT_FREE, TWO_BATCHES)
    log = scratch / "server.log"
    with running(spec, binary, log) as (process, url, key):
        with ThreadPoolExecutor(spec.slots) as pool:
            list(pool.map(lambda slot: ask(url, key, slot, tokens), range(spec.slots)))
        peak_bytes = ProcessMeter(process.pid).peak_rss_bytes()
    told = breakdown(log.read_text(errors="replace"))
    assert peak_bytes is not None
    assert told is not None, "the server's log tells no sizes"
    return Row(spec, engine, expected, calibrate(expected, told), peak_bytes)


def ask(url: str, key: str, slot: int, tokens: int) -> None:
    """A prompt of exactly so many tokens, as numbers, and eight tokens of answer."""
    body = {"prompt": [300 + (slot * 7919 + place * 31) % 40_000 for place in range(tokens)], "n_predict": 8}
    head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/completion", json.dumps(body | {"cache_prompt": False}).encode(), head)
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:
        answer.read()


@contextmanager
def running(spec: ServerSpec, binary: Path | None, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A server that tells all about its memory; its process, address and key."""
    key = secrets.token_hex(16)
    if binary:
        command = [*llama.arguments(binary, spec), "-lv", "4"]
    else:
        *program, chosen = embedded.arguments(spec)
        command = [*program, json.dumps(json.loads(chosen) | {"verbosity": 4})]
    environment = {**os.environ, "LLAMA_API_KEY": key}
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        try:
            yield process, address_in(log, process), key
        finally:
            process.kill()


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server answers, once it does."""
    begun_at = clock.monotonic()
    while process.poll() is None and clock.monotonic() - begun_at < LOAD_TIMEOUT_S:
        for url in re.findall(
            r"srv .*listening on (http://127[\d.]+:\d+)$", log.read_text(errors="replace"), re.MULTILINE
        ):
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    return str(url)
            except OSError:
                continue
        clock.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


@contextmanager
def model_files(given: list[Path], scratch: Path) -> Iterator[list[ModelFile]]:
    """The files to measure; what has to be made is made in `scratch`."""
    if given:
        yield [ModelFile(path.stem, str(path), "", path.stat().st_size, "") for path in given]
        return
    folder = Path(os.environ.get("LLMBENCH_MODELS_DIR") or default_folder())
    shared = ModelStore(folder, config.load(None).models, offline=False)
    source = shared.ensure(MODEL)
    copies = scratch / "models"
    shutil.copytree(Path(source.path).parent, copies / Path(source.path).parent.name)
    own = ModelStore(copies, config.load(None).models, offline=True)
    made = [own.quantize(MODEL, quantization, lambda *_: None) for quantization in QUANTIZATIONS]
    present = [entry for entry in shared.entries() if entry.present and entry.name == OTHER]
    yield [source, *made, *(shared.ensure(entry.name) for entry in present)]


def show(row: Row) -> None:
    """One line."""
    e, spec = row.estimate, row.spec
    parts = [e.weights_bytes, e.kv_bytes or 0, e.compute_bytes, e.base_bytes]
    told = " + ".join(f"{part / MIB:.1f}" for part in parts) + f" = {(e.total_bytes or 0) / MIB:.1f}"
    name = f"{spec.model.name:28} {row.engine:12} {spec.context:5} {spec.kv_type:>5} {spec.slots:5}"
    print(f"{name}  {told:40} {row.peak_bytes / MIB:9.1f} {row.error:+7.1%}", flush=True)


def summary(rows: list[Row]) -> int:
    """Errors of the plain and of the calibrated estimates; the exit status."""
    plain = [abs(row.error) for row in rows]
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.spec.model.name, row.engine].append(row)
    calibrated = [error for group in groups.values() for error in calibrated_errors(group)]
    print(f"\n{len(rows)} configurations")
    for what, errors, limit in (("estimate", plain, TOLERANCE), ("calibrated", calibrated, CALIBRATED_TOLERANCE)):
        print(f"{what:10} |error| median {statistics.median(errors):.1%}, max {max(errors):.1%} (limit {limit:.0%})")
    return int(max(plain) > TOLERANCE or max(calibrated) > CALIBRATED_TOLERANCE)


def calibrated_errors(rows: list[Row]) -> list[float]:
    """With the server's own figures and one constant for all of these rows."""
    constant = statistics.median(row.peak_bytes - (row.calibrated.total_bytes or 0) for row in rows)
    return [abs(((row.calibrated.total_bytes or 0) + constant) / row.peak_bytes - 1) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
