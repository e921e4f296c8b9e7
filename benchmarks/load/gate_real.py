"""Short real matches: of scripted servers in processes of their own, and of SmolLM2 with one thread and with two."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from load.real_server import MODEL

from pytest_llmbench import clock, config
from pytest_llmbench.ab.contest import OF_SERVERS, Ended, Terms, contest
from pytest_llmbench.ab.sides import typed

MINUTES = 5.0
TTFT_S, ITL_S, SLOWER = 0.05, 0.005, 0.1
WALL = {"decode_tps": 0.05, "ttft_s": 0.05}
"""Margins for scripted servers, whose noise is our own: 10 % is to be found, so they lie below it."""


def real(count: int) -> list[str]:
    """Make so many matches, four kinds in turns; prints a line each, and returns a table of all kinds."""
    seen: defaultdict[str, list[tuple[str, int, float]]] = defaultdict(list)
    kinds = [kind for _ in range(-(-count // len(_KINDS))) for kind in _KINDS.items()]
    for name, match in islice(kinds, count):
        begun_at = clock.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            ended = match(Path(folder))
        minutes, pairs = (clock.monotonic() - begun_at) / 60, len(ended.match.pairs)
        seen[name].append((ended.progress.verdict, pairs, minutes))
        print(f"{name:42} {ended.progress.verdict:12} {pairs:3} pairs {minutes:4.1f} min  {ended.sentence}", flush=True)
    table = list(_table(seen))
    print("\n".join(["", *table]))
    return table


def _table(seen: Mapping[str, Sequence[tuple[str, int, float]]]) -> Iterator[str]:
    yield "| match | runs | gates | called slower | inconclusive | passed | pairs (median) | minutes (median) |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, runs in seen.items():
        verdicts = [verdict for verdict, _, _ in runs]
        counts = " | ".join(str(verdicts.count(each)) for each in ("fail", "inconclusive", "pass"))
        pairs, minutes = (statistics.median(run[place] for run in runs) for place in (1, 2))
        yield f"| {name} | {len(runs)} | {_gates(name)} | {counts} | {pairs:g} | {minutes:.1f} |"


def _gates(name: str) -> int:
    return len(WALL if name.startswith("scripted") else OF_SERVERS)


def _scripted(slower: float) -> Callable[[Path], Ended]:
    def match(folder: Path) -> Ended:
        with _server(1.0) as a, _server(1 + slower) as b:
            (folder / "llmbench.yaml").write_text(f"servers:\n  a: {{url: '{a}'}}\n  b: {{url: '{b}'}}\n")
            return _contest(folder, "a/m", "b/m", WALL)

    return match


def _smollm2(a: str, b: str) -> Callable[[Path], Ended]:
    return lambda folder: _contest(folder, f"{MODEL} {a}", f"{MODEL} {b}", {})


def _contest(folder: Path, a: str, b: str, margins: dict[str, float]) -> Ended:
    chosen = {"results_dir": str(folder / "results"), "context": "1024", "report": "none"}
    resolved = config.resolve(chosen, os.environ, {}, folder)
    terms = Terms(typed(a), typed(b), margins=margins, limit_s=60 * MINUTES)
    return contest(resolved, terms, ["gates.py"], lambda _text: None)


@contextmanager
def _server(times: float) -> Iterator[str]:
    """The address of a scripted server that takes so many times as long."""
    timing = ["--tokens", "24", "--ttft-s", str(TTFT_S * times), "--itl-s", str(ITL_S * times)]
    program = [sys.executable, "-P", "-m", "pytest_llmbench.demo", *timing, "--until-stdin-ends"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


_KINDS: dict[str, Callable[[Path], Ended]] = {
    "scripted, A/A": _scripted(0.0),
    f"scripted, B +{SLOWER:.0%}": _scripted(SLOWER),
    "SmolLM2, A/A": _smollm2("threads=1", "threads=1"),
    "SmolLM2, B with one thread instead of two": _smollm2("threads=2", "threads=1"),
}
