"""How often do speed gates cry wolf, and how often do they miss one? On recorded noise, on simulated noise, for real.

A recording of identical requests to fresh servers lies beside this file (`gates_trace.csv`: a quiet and a noisy part of
one machine). Windows of it are replayed as if they were a run: of one and the same code, and with the later or the B
side slowed down. `llmbench ab` holds four gates at once (CPU time per token, decode speed, prompt speed, time to first
token); the others are held to one metric each, over two runs one after the other.

    python benchmarks/gates.py [--windows 600] [--runs 1000] [--write]
    python benchmarks/gates.py --real 20 [--write]
    python benchmarks/gates.py --record quiet [--minutes 16]

The tables of docs/explanation/speed-gates.md are what the first form prints; `--write` puts them there. `--real` makes
short real matches (A/A and A/B, of scripted servers and of SmolLM2 with fewer threads), whose table goes there, too;
`--record` writes one part of the recording anew.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from load.gate_real import real
from load.gate_replay import (
    Values,
    against_baseline,
    before_and_after,
    floors_of,
    in_turns,
    mann_whitney,
    match,
    most_blocks,
    threshold,
    welch,
    wilcoxon,
    windows,
)
from load.gate_simulated import NOISES, simulated
from load.gate_trace import TRACE, Block, blocks, read, record

from pytest_llmbench.stats import wilson

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "speed-gates.md"
SLOWER = (0.0, 0.1, 0.2)
PARTS = ("quiet", "noisy")


class Gate(NamedTuple):
    """A rule for one metric of two runs."""

    name: str
    each: int
    """Requests a run."""
    rule: Callable[..., bool]
    split: Callable[..., tuple[Values, Values]] = before_and_after
    """How a window becomes two runs."""


GATES = (
    Gate("mean > +10 % (pytest-benchmark)", 5, threshold(statistics.fmean, 0.1)),
    Gate("mean > +10 % (pytest-benchmark)", 20, threshold(statistics.fmean, 0.1)),
    Gate("median > +10 %", 20, threshold(statistics.median, 0.1)),
    Gate("min > +10 %", 20, threshold(min, 0.1)),
    Gate("Welch p < 0.05", 20, welch),
    Gate("Mann-Whitney p < 0.002, factor 1.1 (asv)", 20, mann_whitney),
    Gate("in turns: Wilcoxon p < 0.01, ratio of medians > 1.05", 20, wilcoxon, in_turns),
)
NAIVE_METRICS = ("cpu_s_per_token", "decode_tps")
ROUNDS = 6
"""Of a run that is held against a stored baseline."""


def main() -> int:
    """Record, replay, simulate, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=600)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="put the tables into the documentation")
    parser.add_argument("--real", type=int, default=0, metavar="N", help="so many real matches, instead")
    parser.add_argument("--record", choices=PARTS, help="record this part, instead")
    parser.add_argument("--minutes", type=float, default=16)
    options = parser.parse_args()
    if options.record:
        print(f"{record(options.record, options.minutes)} requests recorded in {TRACE}")
        return 0
    if options.real:
        lines = real(options.real)
        if options.write:
            write("real matches", lines)
        return 0
    for name, lines in (("table", replay(options.windows)), ("simulated table", simulate(options.runs))):
        shown = list(_shown(lines))
        if options.write:
            write(name, shown)
    return 0


def write(name: str, lines: Sequence[str]) -> None:
    """Put lines between the marks of a table of the page."""
    begin, end = (f"<!-- {name} of benchmarks/gates.py: {which} -->" for which in ("begin", "end"))
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text("\n".join([before + begin, "", *lines, "", end + after]))


def _shown(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        print(line, flush=True)
        yield line


def replay(count: int) -> Iterator[str]:
    """The table over windows of the recording."""
    rows = read()
    parts = {part: blocks(rows, part) for part in PARTS}
    for part, recorded in parts.items():
        yield f"{part.title()}: {sum(len(block.rows) for block in recorded)} requests to {len(recorded)} servers."
    yield f"{count} windows a cell; called slower in so many of 100 (95 % interval).\n"
    yield "| gate | metric | gates | a side | " + " | ".join(_heads(parts)) + " |"
    yield "| --- | --- | --- | --- |" + " --- |" * len(_heads(parts))
    for gate, metric in product(GATES, NAIVE_METRICS):
        cells = [_naive(recorded, count, gate, metric, s) for recorded in parts.values() for s in SLOWER]
        yield f"| {gate.name} | `{metric}` | 1 | {gate.each} requests | {' | '.join(cells)} |"
    for name, known in (("noise floor unknown", False), ("noise floor measured", True)):
        cells = [_stored(recorded, count, s, known=known) for recorded in parts.values() for s in SLOWER]
        yield f"| **against a baseline**, {name} | all four | 4 | {ROUNDS} rounds of 6 | {' | '.join(cells)} |"
    yield f"| **`llmbench ab`** | all four | 4 | 8 to 36 pairs | {' | '.join(_ours(parts, count))} |"


def _heads(parts: dict[str, list[Block]]) -> list[str]:
    return [f"{part} {'A/A' if not slower else f'+{slower:.0%}'}" for part in parts for slower in SLOWER]


def _naive(recorded: Sequence[Block], count: int, gate: Gate, metric: str, slower: float) -> str:
    if not recorded:
        return "–"
    drawn = windows(recorded, count, 8, random.Random(1))
    return _rate(sum(gate.rule(*gate.split(window, gate.each, slower), metric) for window in drawn), count)


def _stored(recorded: Sequence[Block], count: int, slower: float, *, known: bool) -> str:
    """The baseline and the run are of different times; the floor is of a third one."""
    source = random.Random(1)
    if not recorded:
        return "–"
    drawn = [windows(recorded, count, length, source) for length in (ROUNDS, ROUNDS, 32)]
    failed = sum(
        against_baseline([*before, *after], slower, floors_of(calibrated) if known else {})
        for before, after, calibrated in zip(*drawn, strict=True)
    )
    return _rate(failed, count)


def _ours(parts: dict[str, list[Block]], count: int) -> list[str]:
    cells = []
    for recorded in parts.values():
        for slower in SLOWER:
            if not recorded:
                cells.append("–")
                continue
            source = random.Random(1)
            seen = [match(w, slower, source) for w in windows(recorded, count, most_blocks(), source)]
            failed = sum(each.verdict == "fail" for each in seen)
            passed = sum(each.verdict == "pass" for each in seen)
            pairs, seconds = (statistics.median(getattr(s, name) for s in seen) for name in ("pairs", "seconds"))
            shown = f"{_rate(failed, count)}; {pairs:g} pairs, {seconds / 60:.1f} min"
            cells.append(f"{shown}; {passed / count:.0%} passed" if not slower else shown)
    return cells


def simulate(count: int) -> Iterator[str]:
    """The table over noise of known nature."""
    yield f"{count} runs a cell, four gates; called slower in so many of 100 (95 % interval).\n"
    yield f"| noise | gates | {' | '.join('A/A' if not slower else f'+{slower:.0%}' for slower in SLOWER)} |"
    yield "| --- | --- |" + " --- |" * len(SLOWER)
    for name, noise in NOISES.items():
        ended = (simulated(noise, count, slower) for slower in SLOWER)
        cells = [f"{_rate(failed, count)}; {pairs:g} pairs" for failed, pairs in ended]
        yield f"| {name} | 4 | {' | '.join(cells)} |"


def _rate(times: int, of: int) -> str:
    bounds = wilson(times, of)
    return f"{100 * times / of:.1f} ({100 * bounds.low:.1f} to {100 * bounds.high:.1f})"


if __name__ == "__main__":
    sys.exit(main())
