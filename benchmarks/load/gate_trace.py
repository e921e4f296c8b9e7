"""A recording of identical requests to fresh servers, which `gates.py` replays: made here, read here.

A row a request. Its block is one server, started for it; the first request of each is thrown away and not in the file.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from load.real_server import MODEL, embedded_server

from pytest_llmbench import clock, http
from pytest_llmbench.clients import Model
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.monitor import ForeignMeter, ProcessMeter, foreign

TRACE = Path(__file__).parents[1] / "gates_trace.csv"
METRICS = ("cpu_s_per_token", "decode_tps", "prompt_tps", "ttft_s")
PROMPT = (
    "A shop sells bread for three coins a loaf and cheese for seven coins a wheel. A customer comes in with fifty "
    "coins and wants to buy as much bread as possible after two wheels of cheese. Say how many loaves that is and why."
)
TOKENS, REQUESTS = 24, 6
DEADLINES = http.Deadlines(connect_s=10, ttft_s=120, idle_s=60, total_s=300)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was recorded."""

    part: str
    """`quiet` or `noisy`."""
    block: int
    at_s: float
    """Seconds after the part was begun."""
    cpu_s_per_token: float
    decode_tps: float
    prompt_tps: float
    ttft_s: float
    dirty: int
    """Whether others used the machine meanwhile."""


def record(part: str, minutes: float, path: Path = TRACE) -> int:
    """Ask fresh servers until the time is up, and put what came in place of the file's earlier rows of this part.

    Returns:
        How many requests were recorded.
    """
    others = [each for each in read(path) if each.part != part]
    rows, begun_at = list[Request](), clock.monotonic()
    while clock.monotonic() - begun_at < minutes * 60:
        rows += _recorded(part, len(rows) // REQUESTS, begun_at)
        _write(path, [*others, *rows])
    return len(rows)


def read(path: Path = TRACE) -> list[Request]:
    """All rows of the file; none where there is none yet."""
    if not path.exists():
        return []
    kinds = {"part": str, "block": int, "dirty": int}
    with path.open(newline="") as file:
        return [
            Request(**{name: kinds.get(name, float)(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


@dataclass(frozen=True, slots=True)
class Block:
    """One server as it was recorded."""

    rows: Sequence[Request]
    start_s: float
    """What its start, the request that was thrown away, and the end of the one before it took."""


def blocks(rows: Sequence[Request], part: str) -> list[Block]:
    """One part server by server, in the order in which they were asked; the first, with none before, is left out."""
    of_part = (row for row in rows if row.part == part)
    grouped = [list(group) for _, group in groupby(of_part, key=lambda row: row.block)]
    whole = [group for group in grouped if len(group) == REQUESTS]
    return [Block(now, now[0].at_s - before[-1].at_s - e2e_s(before[-1])) for before, now in pairwise(whole)]


def e2e_s(row: Request) -> float:
    """How long a request took."""
    return row.ttft_s + (TOKENS - 1) / row.decode_tps


def _recorded(part: str, number: int, begun_at: float) -> Iterator[Request]:
    with embedded_server(1) as (endpoint, pid):
        model = Model(MODEL, endpoint=lambda: endpoint, deadlines=DEADLINES)
        meter, others = ProcessMeter(pid), ForeignMeter(lambda: [os.getpid(), pid])
        _ask(model, meter)
        for _ in range(REQUESTS):
            at_s, before = clock.monotonic() - begun_at, others.read()
            metrics = _ask(model, meter)
            dirty = int(bool(foreign(before, others.read()).dirty))
            yield Request(part, number, round(at_s, 2), *(float(f"{metrics[m]:.5g}") for m in METRICS), dirty)


def _ask(model: Model, meter: ProcessMeter) -> dict[str, float]:
    before = meter.cpu_s() or 0.0
    reply = model.ask(PROMPT, max_tokens=TOKENS, ignore_eos=True, cache_prompt=False)
    used_s = (meter.cpu_s() or 0.0) - before
    processed = reply.timing.server["prompt_n"]
    return {**call_metrics(reply.timing, reply.usage), "cpu_s_per_token": used_s / (processed + TOKENS)}


def _write(path: Path, rows: Sequence[Request]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(Request)])
        writer.writerows(dataclasses.astuple(row) for row in rows)
